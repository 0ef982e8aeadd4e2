"""The emulator as tests use it: queues that the Azure SDK talks to, a clock to move, and faults to switch on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from perdure_servicebus_emulator._broker import Broker
from perdure_servicebus_emulator._clock import Clock, ManualClock, SystemClock
from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._namespace import Namespace
from perdure_servicebus_emulator._nodes import QueueInlet, QueueOutlet
from perdure_servicebus_emulator._server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from perdure_servicebus_emulator._faults import Operation
    from perdure_servicebus_emulator._settings import Queue

__all__ = ["Emulator"]


class Emulator:
    """Queues of Azure Service Bus, in the running event loop, for as long as its `async with` lasts.

    Args:
        queues: Which there are.
        clock: What time it is for locks, schedules and lives of messages; a `ManualClock` moves with `advance`.
        host: Where to listen. Whoever reaches it may do everything: keep it on loopback.
        port: 0: a free one.

    Raises:
        ValueError: Two queues have the same name.
        OSError: When it starts: the port is taken. Take another one, or 0.
    """

    def __init__(
        self, queues: Iterable[Queue], *, clock: Clock | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._clock = clock or SystemClock()
        self._broker = Broker(queues, self._clock)
        self._namespace = Namespace(self._broker)
        self._server = Server(self._namespace, self._clock)
        self._host = host
        self.port = port

    async def __aenter__(self) -> Self:
        self.port = await self._server.start(self._host, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._server.stop()

    @property
    def connection_string(self) -> str:
        """What a client connects with. It tells the SDK to do without TLS."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return (
            f"Endpoint=sb://{host}:{self.port};SharedAccessKeyName=RootManageSharedAccessKey;"
            "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
        )

    async def advance(self, seconds: float) -> None:
        """Move a `ManualClock`, and let happen what is due then: locks end, messages become active or expire.

        Args:
            seconds: 0 or more.

        Raises:
            TypeError: The clock is another one, which moves by itself.
        """
        if not isinstance(self._clock, ManualClock):
            raise TypeError(f"A {type(self._clock).__name__} moves by itself: give the emulator clock=ManualClock().")
        self._clock.advance(seconds)
        self._broker.run_due()
        await asyncio.sleep(0)  # What became due is written.

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────

    def drop_connections(self) -> None:
        """Cut every connection, as a cable is cut."""
        for connection in self._server.connections():
            connection.abort()

    def detach_links(self) -> None:
        """End every link to a queue, as the service does when it moves a queue to another machine."""
        why = Refused(Condition.DETACH_FORCED, "The link was detached: a fault that was switched on.")
        for connection in self._server.connections():
            for session in connection.sessions():
                for link in list(session.links.values()):
                    if isinstance(link.node, QueueInlet | QueueOutlet):
                        link.detach(why)

    def expire_locks(self) -> None:
        """Let every lock end now, of messages and sessions, whatever the clock says."""
        for queue in self._broker.queues():
            queue.expire_locks()
        self._server.arm()

    def answer_busy(self, count: int, operation: Operation = "send") -> None:
        """Answer the next operations with server-busy, and do not carry them out.

        Args:
            count: How many; 0: no more.
            operation: "send", "settle" (of a message on its link) or "manage" (requests: renew, schedule, peek, ...).
        """
        self._namespace.faults.busy[operation] = count

    def lose_answers(self, count: int, operation: Operation = "send", *, is_cut: bool = True) -> None:
        """Carry out the next operations, and lose the answers.

        Args:
            count: How many; 0: no more.
            operation: See `answer_busy`.
            is_cut: The connection breaks with it; otherwise the client waits for an answer that does not come.
        """
        self._namespace.faults.lost[operation] = count
        self._namespace.faults.is_cut = is_cut

    def delay(self, seconds: float) -> None:
        """Look at everything that clients write so much later, from now on; 0: no more."""
        self._namespace.faults.delay_seconds = seconds
