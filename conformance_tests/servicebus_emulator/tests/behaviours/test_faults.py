"""Faults that are switched on, as the SDK meets them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from _place import bodies
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusError, ServiceBusServerBusyError

if TYPE_CHECKING:
    from _place import Place


async def test_links_that_were_detached_are_opened_again(place: Place) -> None:
    patient = place.new_client(retry_total=3)
    sender, receiver = await asyncio.gather(patient.sender("q"), patient.receiver("q"))
    await sender.send_messages(ServiceBusMessage("a"))

    place.emulator.detach_links()

    await sender.send_messages(ServiceBusMessage("b"))
    assert bodies(await place.receive(2, receiver)) == ["a", "b"]


async def test_locks_that_were_ended_are_lost(place: Place) -> None:
    await place.send("a")
    message = await place.receive_one()

    place.emulator.expire_locks()

    with pytest.raises(MessageLockLostError):
        await place.receiver.complete_message(message)
    assert (await place.receive_one()).delivery_count == 1


async def test_a_settlement_whose_answer_is_lost_was_made(place: Place) -> None:
    """Settled again by its lock token, it is gone already: the SDK's client cannot tell that from a lost lock."""
    patient = await place.new_client(retry_total=3).receiver("q")
    await place.send("a")
    message = await place.receive_one(patient)
    place.emulator.lose_answers(1, "settle")

    with pytest.raises(ServiceBusError):
        await patient.complete_message(message)

    assert await place.peek(await place.new_receiver()) == []


async def test_a_busy_request_is_not_carried_out(place: Place) -> None:
    await place.send("a")
    message = await place.receive_one()
    await place.receiver.renew_message_lock(message)
    end = message.locked_until_utc
    await place.let_time_pass(10)
    place.emulator.answer_busy(1, "manage")

    with pytest.raises(ServiceBusServerBusyError):
        await place.receiver.renew_message_lock(message)

    assert message.locked_until_utc == end


async def test_delayed_messages_arrive(place: Place) -> None:
    place.emulator.delay(0.2)

    await place.send("a")

    assert bodies([await place.receive_one()]) == ["a"]
    place.emulator.delay(0)
