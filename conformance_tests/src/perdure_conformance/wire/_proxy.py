"""HttpFaultProxy: a server between an SDK and a service. It passes requests on whole, or not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import h11

from perdure_conformance.wire._faults import WireFault

if TYPE_CHECKING:
    from types import TracebackType

    from perdure_conformance.wire._dialects import Dialect
    from perdure_conformance.wire._faults import WireFaults

__all__ = ["HttpFaultProxy"]

READ_BYTES = 64 * 1024
WAIT_SECONDS = 60.0
"""How long one read from either side may take."""

_HOP_BY_HOP = frozenset({b"connection", b"expect", b"keep-alive", b"transfer-encoding"})
_ENDINGS = (h11.EndOfMessage, h11.ConnectionClosed)


@dataclass(frozen=True, slots=True)
class _Message:
    """A request or an answer, whole."""

    start: h11.Request | h11.Response
    body: bytes

    def framed(self) -> h11.Request | h11.Response:
        """Give it a length: it may have come in chunks. An answer without a body keeps the length that it tells."""
        headers = [(name, value) for name, value in self.start.headers if name not in _HOP_BY_HOP]
        told = [value for name, value in headers if name == b"content-length"]
        if not told and (self.body or isinstance(self.start, h11.Response)):
            headers.append((b"content-length", str(len(self.body)).encode()))
        if isinstance(self.start, h11.Request):
            return h11.Request(method=self.start.method, target=self.start.target, headers=headers)
        return h11.Response(status_code=self.start.status_code, headers=headers, reason=self.start.reason)


class _Line:
    """One connection, spoken as client or server."""

    def __init__(self, role: type[h11.Sentinel], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._h11 = h11.Connection(role)
        self._reader = reader
        self._writer = writer

    async def receive(self) -> _Message | None:
        """Receive a whole message; None if the other side has gone before one began."""
        start: h11.Request | h11.Response | None = None
        parts: list[bytes] = []
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                if self._h11.they_are_waiting_for_100_continue:
                    await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                self._h11.receive_data(await asyncio.wait_for(self._reader.read(READ_BYTES), WAIT_SECONDS))
            elif isinstance(event, h11.Request | h11.Response):
                start = event
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, _ENDINGS) or event is h11.PAUSED:
                return None if start is None else _Message(start, b"".join(parts))

    async def send(self, message: _Message) -> None:
        """Send a whole message. An answer to HEAD has no body, whatever length it tells."""
        start = message.framed()
        await self._send(start)
        if message.body:
            await self._send(h11.Data(data=message.body))
        await self._send(h11.EndOfMessage())

    async def send_half(self, message: _Message) -> None:
        """Send the beginning of an answer, and no more."""
        start = self._h11.send(message.framed()) or b""
        whole = start + (self._h11.send(h11.Data(data=message.body)) or b"" if message.body else b"")
        self._writer.write(whole[: len(whole) // 2])
        await self._writer.drain()

    async def _send(self, event: h11.Event) -> None:
        self._writer.write(self._h11.send(event) or b"")
        await self._writer.drain()

    def is_reusable(self) -> bool:
        """Get ready for the next message; False if there can be none."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True

    def close(self) -> None:
        """Let go."""
        self._writer.close()


class HttpFaultProxy:
    """Stands between an SDK and a service that speaks HTTP/1.1 without TLS, on 127.0.0.1 and a free port.

    Args:
        host: Of the service.
        port: Of the service.
        faults: What happens to requests.
        dialect: How the service words its refusals.

    Attributes:
        endpoint: What to give to the SDK, from the start on.
    """

    def __init__(self, host: str, port: int, *, faults: WireFaults, dialect: Dialect) -> None:
        self._host = host
        self._port = port
        self._faults = faults
        self._dialect = dialect
        self._server: asyncio.Server | None = None
        self._late: set[asyncio.Task[_Message]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.endpoint = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, *self._late, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(_Line(h11.SERVER, reader, writer)))
        self._serving.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "the proxy failed", "exception": problem})

    async def _serve(self, line: _Line) -> None:
        """Serve one connection until it ends, or a fault ends it."""
        try:
            while (request := await line.receive()) is not None:
                if not await self._answer(line, request) or not line.is_reusable():
                    return
        except (OSError, TimeoutError, h11.RemoteProtocolError):
            return  # One side has gone. The other one sees that the connection ends.
        finally:
            line.close()

    async def _answer(self, line: _Line, request: _Message) -> bool:
        """Pass a request on and its answer back, as the faults want it; False: the connection is to end."""
        match self._choose(request):
            case WireFault.DROPPED_BEFORE:
                return False
            case WireFault.DROPPED_AFTER:
                await self._ask(request)
                return False
            case WireFault.LATE:
                self._ask_later(request)
                return False
            case WireFault.CUT:
                await line.send_half(await self._ask(request))
                return False
            case WireFault.TWICE:
                await self._ask(request)
                await line.send(await self._ask(request))
            case WireFault.SLOW:
                await asyncio.sleep(self._faults.seconds())
                await line.send(await self._ask(request))
            case WireFault.BUSY:
                await line.send(_refusal(self._dialect.busy))
            case WireFault.CONFLICT:
                assert self._dialect.conflict is not None
                await line.send(_refusal(self._dialect.conflict))
            case None:
                await line.send(await self._ask(request))
        return True

    def _choose(self, request: _Message) -> WireFault | None:
        assert isinstance(request.start, h11.Request)
        names = frozenset(name.decode().lower() for name, _ in request.start.headers)
        can_conflict = self._dialect.conflict is not None and self._dialect.is_conditional(
            request.start.method.decode(), names
        )
        return self._faults.choose(can_conflict=can_conflict)

    async def _ask(self, request: _Message) -> _Message:
        """Ask the service, on a connection of its own."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        line = _Line(h11.CLIENT, reader, writer)
        try:
            await line.send(request)
            answer = await line.receive()
        finally:
            line.close()
        if answer is None:
            raise ConnectionResetError("The service ended the connection without an answer.")
        return answer

    def _ask_later(self, request: _Message) -> None:
        async def ask() -> _Message:
            await asyncio.sleep(self._faults.seconds())
            return await self._ask(request)

        task = asyncio.ensure_future(ask())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


def _refusal(words: tuple[int, tuple[tuple[str, str], ...], bytes]) -> _Message:
    status, headers, body = words
    return _Message(h11.Response(status_code=status, headers=list(headers), reason=b"Refused"), body)
