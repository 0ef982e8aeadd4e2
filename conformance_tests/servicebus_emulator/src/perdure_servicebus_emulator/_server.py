"""The asyncio part: sockets and timers. What bytes mean and what time does, `Connection` and `Broker` know."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from perdure_servicebus_emulator._connection import Connection

if TYPE_CHECKING:
    from perdure_servicebus_emulator._clock import Clock
    from perdure_servicebus_emulator._namespace import Namespace

__all__ = ["Server"]

_log = logging.getLogger("perdure_servicebus_emulator")

_UNREAD_BYTES_MAX = 16 * 2**20  # Of answers that a client does not read: more ends its connection.
_GOODBYE_SECONDS = 5.0  # For a client to read what is left, when its connection has ended.
_DELAY_SECONDS_MAX = 3600.0  # Of a timer: a longer one looks again.


class Server:
    """Accepts connections, and lets happen in time what queues have to do.

    Args:
        namespace: What connections reach.
        clock: The queues' time.
    """

    def __init__(self, namespace: Namespace, clock: Clock) -> None:
        self.namespace = namespace
        self._clock = clock
        self._sockets: set[Socket] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which was chosen if it was 0.

        Raises:
            OSError: The address is not free, or not of this machine.
        """
        self._server = await asyncio.get_running_loop().create_server(lambda: Socket(self), host, port)
        address = self._server.sockets[0].getsockname()
        return int(address[1])

    async def stop(self) -> None:
        """End every connection, and stop to listen."""
        if self._server is not None:
            self._server.close()
            sockets = list(self._sockets)
            for socket in sockets:
                socket.connection.abort()
            await asyncio.gather(*[socket.lost for socket in sockets])  # Before 3.12, `wait_closed` does not.
            await self._server.wait_closed()
            self._server = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connections(self) -> list[Connection]:
        """List the connections."""
        return [socket.connection for socket in self._sockets]

    def add(self, socket: Socket) -> None:
        """Count a connection in."""
        self._sockets.add(socket)

    def remove(self, socket: Socket) -> None:
        """Count it out."""
        self._sockets.discard(socket)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def run_due(self) -> None:
        """Let the queues do what is due, and ask them again when more is."""
        self._timer = None
        try:
            self.namespace.broker.run_due()
        finally:  # Whatever goes wrong in one queue, locks of the others must end.
            self.arm()

    def arm(self) -> None:
        """See to it that `run_due` is called when something is due; to be called when that may be earlier now."""
        due = self.namespace.broker.next_due()
        seconds = None if due is None or self._server is None else self._clock.seconds_until(due)
        if seconds is None:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + min(seconds, _DELAY_SECONDS_MAX)
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self.run_due)


class Socket(asyncio.Protocol):
    """The bytes of one connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_flushing = False
        self._delayed: deque[bytes] = deque()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.connection = Connection(server.namespace, self._loop.time(), self._on_output)

    # ── read ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.add(self)
        self._arm()
        _log.debug("Connected: %s.", transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        """Follow what the client wrote, or do it later: all of it, then, and in its order."""
        delay_seconds = self._server.namespace.faults.delay_seconds
        if delay_seconds or self._delayed:
            self._delayed.append(data)
            self._loop.call_later(delay_seconds, self._follow_delayed)
        else:
            self._follow(data)

    def _follow_delayed(self) -> None:
        self._follow(self._delayed.popleft())

    def _follow(self, data: bytes) -> None:
        if self.connection.is_closed:
            return
        self.connection.receive(data, self._loop.time())
        self._arm()
        self._server.arm()

    # ── write ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_output(self) -> None:
        # Not at once: a frame seldom comes alone, and one write for all of them is much faster.
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        transport, connection = self._transport, self.connection
        assert transport is not None, "Nothing is said before there is somebody to hear it."
        had_room = connection.has_room
        output = connection.take_output(self._loop.time())
        if output and not transport.is_closing():
            transport.write(output)
        if connection.is_aborted or transport.get_write_buffer_size() > _UNREAD_BYTES_MAX:
            transport.abort()
        elif connection.is_closed:
            transport.close()
            self._loop.call_later(_GOODBYE_SECONDS, transport.abort)  # A client that reads no more is not waited for.
        elif not had_room and connection.has_room:
            connection.pull()

    def pause_writing(self) -> None:
        """Hear that the client is slower than we are."""
        self.connection.is_writable = False

    def resume_writing(self) -> None:
        """Hear that it has caught up."""
        self.connection.is_writable = True
        self.connection.pull()

    # ── time and end ─────────────────────────────────────────────────────────────────────────────────────────────

    def _arm(self) -> None:
        when = self.connection.next_tick()
        if self._timer is not None:
            if self._timer.when() <= when:
                return  # It comes early, and finds out then how much later it is to come again.
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.connection.tick(self._loop.time())
        if not self.connection.is_closed:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - Why it is gone makes no difference.
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        self.connection.lost()
        self._server.remove(self)
        self.lost.set_result(None)
        self._server.arm()
        failure = self.connection.failure
        if failure is not None:
            _log.info("A connection was ended: %s: %s", failure.condition, failure.description)
        _log.debug("Disconnected.")
