"""A process of a scene: a connection of its own with a client and perhaps a worker on it, which can be killed."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, cast

from perdure import Worker, WorkerSettings
from perdure.client import Client
from perdure.hub import OpenHub

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.authoring import Definition
    from perdure.spi import Environment
    from perdure_conformance.harness import Backend

__all__ = ["Process"]


class _ProcessDied(BaseException):
    """The process is gone: no code of it may go on, and nothing it does has an effect."""


class _Life:
    """Whether a process lives."""

    def __init__(self) -> None:
        self.is_over = False

    def check(self) -> None:
        """Let the living go on."""
        if self.is_over:
            raise _ProcessDied


class _Mortal:
    """A store, queue or committer as a mortal process sees it: once the process is dead no call has an effect."""

    def __init__(self, inner: object, life: _Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if inspect.iscoroutinefunction(found):
            return self._guarded(found)
        if callable(found):
            self._life.check()
        return found

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(*args: Any, **options: Any) -> Any:
            self._life.check()
            answer = await call(*args, **options)
            self._life.check()
            return answer

        return guarded


class Process:
    """One process: what `perdure.connect` gives, and one worker at most.

    Attributes:
        hub: Its connection.
        client: What it asks the hub with.
        worker: Set by `work`.
    """

    worker: Worker

    def __init__(self, backend: Backend, environment: Environment, name: str) -> None:
        self._life = _Life()
        parts = (backend.store, backend.queue, backend.committer)
        store, queue, committer = (cast("Any", _Mortal(part, self._life)) for part in parts)
        self.hub = OpenHub(store, queue, committer, environment, name=name)
        self.client = Client(self.hub)
        self._running: asyncio.Task[None] | None = None

    @property
    def is_working(self) -> bool:
        """Whether a worker runs here."""
        return self._running is not None and not self._running.done()

    @property
    def threads_busy(self) -> int:
        """How many threads of the worker run an activity; 0 for the dead."""
        if not self.is_working or self._life.is_over:
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
