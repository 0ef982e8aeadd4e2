"""connect: from a URL to a hub that can be asked and worked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from perdure.client import Client
from perdure.config import load_settings
from perdure.hub import open_hub
from perdure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from perdure.authoring import Definition
    from perdure.config import Settings, WorkerSettings
    from perdure.hub import OpenHub
    from perdure.spi import Environment

__all__ = ["Hub", "connect"]

logger = logging.getLogger("perdure")


class Hub(Client):
    """An opened hub: a client of it, that can also run workers in this process."""

    def __init__(self, hub: OpenHub, settings: Settings) -> None:
        super().__init__(hub)
        self._settings = settings

    @asynccontextmanager
    async def worker(self, *definitions: Definition, settings: WorkerSettings | None = None) -> AsyncGenerator[Worker]:
        """Run a worker beside the body of `async with`; leaving it drains the worker.

        If the worker fails in the background, the body is cancelled and the worker's error is raised. What the body
        raises by itself comes through as it is.

        Args:
            definitions: Activities and orchestrations it can run.
            settings: Queues and limits; None takes those of the connection.
        """
        worker = Worker(self._hub, definitions, settings or self._settings.worker)
        running = asyncio.create_task(worker.run())
        body = _Body(running)
        try:
            yield worker
        except BaseException as problem:
            if not await body.is_over_by_worker():
                await _stop_after(worker, running, problem)
                raise
            if not isinstance(problem, asyncio.CancelledError):
                failure = running.exception()
                assert failure is not None  # that is why the body is over
                failure.__context__ = problem
        else:
            if not await body.is_over_by_worker():
                await _stop(worker, running)
        await running  # raises what the worker failed with


class _Body:
    """The task inside `async with`, cancelled once if the worker fails."""

    def __init__(self, running: asyncio.Task[None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._running = running
        self._is_cancelled = False
        self._is_over = False
        running.add_done_callback(self._note_end)

    def _note_end(self, running: asyncio.Task[None]) -> None:
        if not self._is_over and not running.cancelled() and running.exception() is not None:
            self._is_cancelled = True
            self._task.cancel()

    async def is_over_by_worker(self) -> bool:
        """Tell, once the body has ended, whether it was cancelled because the worker failed.

        Raises:
            CancelledError: Others cancelled it, too.
        """
        self._is_over = True  # taking the callback away would not stop one that is about to be called
        if not self._is_cancelled:
            return False
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # a cancellation that the body did not wait for arrives here, not later
        if self._task.uncancel():
            logger.error("The worker failed, and its body was cancelled as well", exc_info=self._running.exception())
            raise asyncio.CancelledError
        return True


async def _stop(worker: Worker, running: asyncio.Task[None]) -> None:
    """Drain; cancelled meanwhile, break off: the hub is closed next."""
    try:
        if not running.done():
            await worker.stop()
            await asyncio.wait([running])  # it may not even have begun
    except asyncio.CancelledError:
        running.cancel()
        await asyncio.wait([running])
        raise


async def _stop_after(worker: Worker, running: asyncio.Task[None], problem: BaseException) -> None:
    """Drain after the body failed: its error is the one to see, the worker's only in the log."""
    await _stop(worker, running)
    failed = None if running.cancelled() else running.exception()
    if failed is not None:
        logger.error("The worker failed while it stopped after %r", problem, exc_info=failed)


@asynccontextmanager
async def connect(
    url: str | None = None,
    *,
    store: str | None = None,
    queue: str | None = None,
    settings: Settings | None = None,
    environment: Environment | None = None,
) -> AsyncGenerator[Hub]:
    """Open a hub for the body of `async with`.

    Args:
        url: Where: `sqlite:PATH`, `memory:` …; None takes the configuration (`perdure.toml`, `PERDURE_HUB`), whose
            default is `sqlite:.perdure`.
        store: URL of the store, where store and queue are of different providers.
        queue: URL of the queue.
        settings: Instead of the configuration.
        environment: Clock and entropy; None takes the machine's. Tests give virtual ones.

    Raises:
        Misuse: An unknown scheme or key, or a place that cannot be used; the message says the mend.
        TooNew: The hub was written by a newer release of Perdure.
        Unavailable: The storage does not answer.
    """
    settings = settings or load_settings(hub=url, store=store, queue=queue)
    opened = await open_hub(settings, environment=environment)
    try:
        yield Hub(opened, settings)
    finally:
        await opened.aclose()
