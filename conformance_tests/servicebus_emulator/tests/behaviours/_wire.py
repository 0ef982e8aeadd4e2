"""A client that speaks AMQP frame by frame, for what the SDK never does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator import _performatives as wire
from perdure_servicebus_emulator._frames import AMQP_HEADER, SASL_HEADER, Frame, FrameReader, frame_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Wire", "connect", "data", "text_of"]

PATIENCE_SECONDS = 30.0
FRAME_BYTES_MAX = 65_536
WINDOW = 1000

Kind = TypeVar("Kind", bound=tuple[Any, ...])


def data(text: str) -> bytes:
    """Encode a message with this text."""
    return codec.described(0x75, codec.binary(text.encode()))


def text_of(payload: bytes) -> str:
    """Read the text of a message of one data section."""
    at = 0
    while at < len(payload):
        section, at = codec.decode(payload, at)
        if isinstance(section, codec.Described) and section.descriptor == 0x75:
            return bytes(section.value).decode()  # type: ignore[call-overload,no-any-return]
    raise AssertionError(f"No data section in {payload!r}.")


def put_token() -> bytes:
    """Encode the request that puts a token."""
    properties = [codec.string("request"), codec.NULL, codec.NULL, codec.NULL, codec.string("test")]
    texts = {
        "operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": "amqp://127.0.0.1/q",
    }  # fmt: skip
    return b"".join([
        codec.described(0x73, codec.list_(properties)),
        codec.described(0x74, codec.map_({codec.string(key): codec.string(text) for key, text in texts.items()})),
        codec.described(0x77, codec.string("SharedAccessSignature sr=q&sig=x&se=9999999999&skn=x")),
    ])  # fmt: skip


def application_properties(payload: bytes) -> dict[str, Any]:
    """Read the application properties of a message."""
    at = 0
    while at < len(payload):
        section, at = codec.decode(payload, at)
        if isinstance(section, codec.Described) and section.descriptor == 0x74:
            return dict(section.value)  # type: ignore[call-overload,no-any-return]
    raise AssertionError(f"No application properties in {payload!r}.")


class Wire:
    """One connection with one session. What comes is kept until somebody asks for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._frames = FrameReader(FRAME_BYTES_MAX)
        self.arrived: list[tuple[Any, bytes]] = []
        self.heartbeats = 0
        self.next_delivery = 0
        self.next_incoming = 0

    async def read_raw(self, length: int) -> bytes:
        """Read bytes before there are frames."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.readexactly(length)

    def send(self, frame: wire.Composite, payload: bytes = b"", *, kind: int = 0) -> None:
        """Send a frame."""
        self.writer.write(frame_bytes(0, wire.encode(frame) + payload, kind=kind))

    async def expect(self, kind: type[Kind]) -> tuple[Kind, bytes]:
        """Give the next frame of a kind, and what follows its fields."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for place, (frame, _) in enumerate(self.arrived):
                    if isinstance(frame, kind):
                        return self.arrived.pop(place)
                await self.read_some()

    async def read_some(self) -> None:
        """Wait for bytes and take the frames that they complete.

        Raises:
            EOFError: The other side has ended the connection.
        """
        chunk = await self._reader.read(65_536)
        if not chunk:
            raise EOFError
        self._frames.feed(chunk)
        while (frame := self._frames.take()) is not None:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        if frame.body:
            arrived = wire.decode(frame.body)
            self.next_incoming += isinstance(arrived[0], wire.Transfer)
            self.arrived.append(arrived)
        else:
            self.heartbeats += 1

    async def ended(self) -> bool:
        """Wait for the end of the connection; what came before is in `arrived`."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    await self.read_some()
        except (EOFError, ConnectionError):
            return True
        except TimeoutError:
            return False

    async def sign_in(self, *, idle_ms: int | None = None) -> wire.Open:
        """Begin the connection and its session."""
        self.writer.write(SASL_HEADER)
        assert await self.read_raw(8) == SASL_HEADER
        await self.expect(wire.SaslMechanisms)
        self.send(wire.SaslInit("ANONYMOUS"), kind=1)
        outcome, _ = await self.expect(wire.SaslOutcome)
        assert outcome.code == 0
        self.writer.write(AMQP_HEADER)
        assert await self._amqp_header() == AMQP_HEADER
        self.send(wire.Open("test", "127.0.0.1", FRAME_BYTES_MAX, idle_time_out=idle_ms))
        opened, _ = await self.expect(wire.Open)
        self.send(wire.Begin(None, 0, WINDOW, WINDOW, 255))
        begun, _ = await self.expect(wire.Begin)
        self.next_incoming = begun.next_outgoing_id
        return opened

    async def _amqp_header(self) -> bytes | None:
        while (header := self._frames.take_header()) is None:
            self._frames.feed(await self.read_raw(1))
        return header

    async def authorize(self) -> None:
        """Put a token at `$cbs`, over links of their own, handles 100 and 101."""
        await self.attach_sender("$cbs", 100)
        await self.attach_receiver("$cbs", 101)
        self.flow(101, 1)
        self.send(wire.Transfer(100, self.next_delivery, b"cbs", message_format=0, settled=False), put_token())
        _, answer = await self.expect(wire.Transfer)
        await self.expect(wire.Disposition)
        assert application_properties(answer)["status-code"] in {200, 202}
        self.next_delivery += 1

    async def attach_sender(self, queue: str, handle: int = 0) -> wire.Attach:
        """Open a link to a queue."""
        self.send(
            wire.Attach(
                f"to-{handle}", handle, role=False, source=wire.Source("test"), target=wire.Target(queue),
                initial_delivery_count=0,
            )
        )  # fmt: skip
        answer, _ = await self.expect(wire.Attach)
        return answer

    async def attach_receiver(self, queue: str, handle: int = 0) -> wire.Attach:
        """Open a link from a queue, in peek-lock."""
        self.ask_for_messages(wire.Source(queue), handle)
        answer, _ = await self.expect(wire.Attach)
        return answer

    def ask_for_messages(self, source: wire.Source, handle: int) -> None:
        """Ask for a link from there, in peek-lock, and do not wait for the answer."""
        self.send(
            wire.Attach(
                f"from-{handle}", handle, role=True, snd_settle_mode=0, rcv_settle_mode=1,
                source=source, target=wire.Target("test"),
            )
        )  # fmt: skip

    def flow(self, handle: int, credit: int, *, delivery_count: int = 0, drain: bool = False) -> None:
        """Give credit."""
        numbers = (self.next_incoming, WINDOW, self.next_delivery, WINDOW)
        self.send(wire.Flow(*numbers, handle, delivery_count, credit, drain=drain))

    def transfer(self, text: str, *, settled: bool = False, handle: int = 0) -> None:
        """Send a message."""
        number, self.next_delivery = self.next_delivery, self.next_delivery + 1
        tag = number.to_bytes(4, "big")
        self.send(wire.Transfer(handle, number, tag, message_format=0, settled=settled), data(text))


@asynccontextmanager
async def connect(connection_string: str) -> AsyncIterator[Wire]:
    """Connect to where a connection string points, without signing in."""
    parts = dict(part.split("=", 1) for part in connection_string.rstrip(";").split(";"))
    host, port = parts["Endpoint"].removeprefix("sb://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
