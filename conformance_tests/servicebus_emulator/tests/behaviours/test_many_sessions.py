"""Ten thousand sessions in one queue."""

from __future__ import annotations

from contextlib import AsyncExitStack

from _place import Place
from _service_bus_sdk import AsyncSdk
from _wire import Wire, connect, text_of
from azure.servicebus import ServiceBusMessage
from perdure_servicebus_emulator import _performatives as wire
from perdure_servicebus_emulator._codec import Symbol

SESSIONS = 10_000
AT_ONCE = 100
NEXT_AVAILABLE = wire.Source("q", filter={Symbol("com.microsoft:session-filter"): None})


async def take_next(client: Wire) -> set[str]:
    """Take the next sessions, complete their one message each, and let them go; give the texts."""
    for handle in range(AT_ONCE):
        client.ask_for_messages(NEXT_AVAILABLE, handle)
        client.flow(handle, 1)
    texts = set()
    for _ in range(AT_ONCE):
        transfer, payload = await client.expect(wire.Transfer)
        texts.add(text_of(payload))
        assert transfer.delivery_id is not None
        client.send(wire.Disposition(role=True, first=transfer.delivery_id, settled=False, state=wire.Accepted()))
        client.send(wire.Detach(transfer.handle, closed=True))
    for _ in range(AT_ONCE):
        await client.expect(wire.Detach)
    client.arrived.clear()
    return texts


async def test_ten_thousand_sessions_are_listed_and_received() -> None:
    async with AsyncExitStack() as stack:
        place = Place(AsyncSdk, {"requires_session": True, "lock_seconds": 300})
        stack.push_async_callback(place.close)
        await place.begin()
        sender = await place.open_sender()
        for begin in range(0, SESSIONS, 500):
            numbers = [f"{number:05}" for number in range(begin, begin + 500)]
            await sender.send_messages([ServiceBusMessage(number, session_id=number) for number in numbers])

        listed = await place.sdk.list_sessions("q")

        client = await stack.enter_async_context(connect(place.emulator.connection_string))
        await client.sign_in()
        await client.authorize()
        received: set[str] = set()
        for _ in range(SESSIONS // AT_ONCE):
            received |= await take_next(client)
        everything = {f"{number:05}" for number in range(SESSIONS)}
        assert set(listed) == received == everything
        assert await place.sdk.list_sessions("q") == []
