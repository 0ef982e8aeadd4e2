"""A process of a scene: a connection of its own with a client and perhaps a worker on it, which can be killed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from perdure import Worker, WorkerSettings
from perdure.client import Client
from perdure.hub import OpenHub
from perdure_conformance.scenarios._line import Line, along

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure.authoring import Definition
    from perdure.spi import Environment
    from perdure_conformance.harness import Backend

__all__ = ["Life", "Process", "ProcessDied"]

T = TypeVar("T")


class ProcessDied(BaseException):
    """The process is gone: no code of it may go on, and nothing it does has an effect."""


class Life(Line):
    """Whether a process lives, and at which of its calls it dies: each has a point before it and one after it.

    Args:
        dies_at: Number of the point, from 1; 0 means that it lives on.

    Attributes:
        beyond: The rest of the line.
        is_over: It is dead.
        is_safe: It does not die by itself any more, and passes no further points.
        points: What it has passed, in order, such as `before commit`.
    """

    def __init__(self, dies_at: int = 0) -> None:
        self.beyond = Line()
        self.is_over = False
        self.is_safe = False
        self.points: list[str] = []
        self._dies_at = dies_at

    async def carry(self, operation: str, subject: object, call: Callable[..., Awaitable[T]]) -> T:
        """Make a call, unless death comes first; after it, the answer may find nobody."""
        self._pass(f"before {operation}")
        answer = await self.beyond.carry(operation, subject, call)
        self._pass(f"after {operation}")
        return answer

    def _pass(self, point: str) -> None:
        if not self.is_over and not self.is_safe:
            self.points.append(point)
            self.is_over = len(self.points) == self._dies_at
        if self.is_over:
            raise ProcessDied(point)


class Process:
    """One process: what `perdure.connect` gives, and one worker at most.

    Attributes:
        hub: Its connection.
        client: What it asks the hub with.
        worker: Set by `work`.
    """

    worker: Worker

    def __init__(self, backend: Backend, environment: Environment, life: Life) -> None:
        self._life = life
        seen = along(backend, environment.clock, life)
        self.hub = OpenHub(seen.store, seen.queue, seen.committer, environment, name="the hub")
        self.client = Client(self.hub)
        self._running: asyncio.Task[None] | None = None

    @property
    def is_dead(self) -> bool:
        """Whether no call of it has an effect any more."""
        return self._life.is_over

    @property
    def is_working(self) -> bool:
        """Whether a worker runs here."""
        return self._running is not None and not self._running.done()

    @property
    def threads_busy(self) -> int:
        """How many threads of the worker run an activity; 0 for the dead."""
        if not self.is_working or self.is_dead:
            return 0
        return self.worker._activities.threads_busy  # noqa: SLF001 - virtual time must wait for real threads

    async def work(self, definitions: tuple[Definition, ...], settings: WorkerSettings) -> None:
        """Start the worker."""
        self.worker = Worker(self.hub, definitions, settings)
        self._running = asyncio.create_task(self.worker.run())
        await asyncio.sleep(0)

    async def stop(self, drain_seconds: float | None) -> None:
        """Stop the worker in good order, and raise what it failed with."""
        assert self._running is not None
        await self.worker.stop(drain_seconds=drain_seconds)
        await self._running

    def die(self) -> None:
        """Have no further call of this process take effect; for code of the process itself."""
        self._life.is_over = True

    async def kill(self) -> None:
        """Take the process away in the middle of whatever it does, as SIGKILL would: its leases run on."""
        self.die()
        if self._running is None:
            return
        # Nobody asks a dead process what it ended with.
        self._running.add_done_callback(lambda task: task.cancelled() or task.exception())
        for _ in range(3):  # once to drain, once to break off what drains, once for what came of that
            self._running.cancel()
            await asyncio.sleep(0)
