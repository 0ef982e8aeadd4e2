"""connect: from a URL to a hub that can be asked and worked for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from perdure.client import Client
from perdure.config import load_settings
from perdure.hub import open_hub
from perdure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from perdure.authoring import Definition
    from perdure.config import Settings, WorkerSettings
    from perdure.hub import OpenHub
    from perdure.spi import Environment

__all__ = ["Hub", "connect"]


class Hub(Client):
    """An opened hub: a client of it, that can also run workers in this process."""

    def __init__(self, hub: OpenHub, settings: Settings) -> None:
        super().__init__(hub)
        self._settings = settings

    @asynccontextmanager
    async def worker(self, *definitions: Definition, settings: WorkerSettings | None = None) -> AsyncIterator[Worker]:
        """Run a worker beside the body of `async with`; leaving it drains the worker.

        If the worker fails in the background, the body is cancelled and the worker's error is raised.

        Args:
            definitions: Activities and orchestrations it can run.
            settings: Queues and limits; None takes those of the connection.
        """
        worker = Worker(self._hub, definitions, settings or self._settings.worker)
        body = asyncio.current_task()
        assert body is not None
        running = asyncio.create_task(worker.run())
        is_body_cancelled = False

        def worker_ended(task: asyncio.Task[None]) -> None:
            nonlocal is_body_cancelled
            if not task.cancelled() and task.exception() is not None:
                is_body_cancelled = True
                body.cancel()

        running.add_done_callback(worker_ended)
        try:
            yield worker
        except asyncio.CancelledError:
            if not is_body_cancelled or body.uncancel():
                raise
        finally:
            running.remove_done_callback(worker_ended)
            await self._drain(worker, running)

    @staticmethod
    async def _drain(worker: Worker, running: asyncio.Task[None]) -> None:
        if not running.done():
            await worker.stop()
        await running  # raises what the worker failed with


@asynccontextmanager
async def connect(
    url: str | None = None,
    *,
    store: str | None = None,
    queue: str | None = None,
    settings: Settings | None = None,
    environment: Environment | None = None,
) -> AsyncIterator[Hub]:
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
