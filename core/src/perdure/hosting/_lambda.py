"""lambda_handler: turns and activities in AWS Lambda, one batch of messages per invocation.

The response tells which messages failed (`ReportBatchItemFailures` must be on for the event source); Lambda deletes the
others. An invocation that dies settles nothing: its messages come again, and what is recorded is not repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from perdure.config import load_settings
from perdure.errors import Misuse
from perdure.hosting._handed import HandedQueue
from perdure.hub import OpenHub, open_hub
from perdure.spi import Environment, OutboxCommitter, PushedMessages, QueueName
from perdure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.authoring import Definition
    from perdure.config import Settings
    from perdure.spi import Delivery

__all__ = ["lambda_handler"]

MARGIN_SECONDS = 2.0
"""Kept of an invocation's time for giving back what is not done."""

UNLIMITED_SECONDS = 900.0
"""As long as Lambda lets anything run; for a context that does not tell."""


def lambda_handler(
    *definitions: Definition,
    hub: str | None = None,
    settings: Settings | None = None,
    environment: Environment | None = None,
) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Make a handler for AWS Lambda that runs what its event source, a queue of the hub, hands to it.

    Give the event source the queues of turns or of tasks that `settings.worker` names, with batches of up to 10 and
    `ReportBatchItemFailures`; the queue's visibility timeout is at least six times the function's timeout, as AWS
    advises.

    Args:
        definitions: Activities and orchestrations it can run. What it does not know is left to others.
        hub: The hub's URL; None takes the configuration.
        settings: Instead of the configuration.
        environment: Clock and entropy; None takes the machine's.

    Returns:
        The function to name as the handler: event and context in, `batchItemFailures` out.

    Raises:
        Misuse: (From the handler:) the hub's queue cannot be handed messages, or the event holds none of it.
    """
    loaded = settings or load_settings(hub=hub)

    def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        tell = getattr(context, "get_remaining_time_in_millis", None)
        seconds = UNLIMITED_SECONDS if tell is None else tell() / 1000
        not_done = asyncio.run(_handle(event, definitions, loaded, environment, seconds - MARGIN_SECONDS))
        return {"batchItemFailures": [{"itemIdentifier": name} for name in not_done]}

    return handle


async def _handle(
    event: Mapping[str, Any],
    definitions: tuple[Definition, ...],
    settings: Settings,
    environment: Environment | None,
    seconds: float,
) -> list[str]:
    opened = await open_hub(settings, environment=environment)
    try:
        return await handle_batch(opened, event, definitions, settings, seconds)
    finally:
        await opened.aclose()


async def handle_batch(
    opened: OpenHub,
    event: Mapping[str, Any],
    definitions: tuple[Definition, ...],
    settings: Settings,
    seconds: float,
) -> list[str]:
    """Run what an invocation was handed, until everything is settled or the time is over.

    Args:
        opened: The hub.
        event: As the service gives it.
        definitions: What can be run.
        settings: Queues and limits.
        seconds: How long it may take.

    Returns:
        The service's names for the messages that must be delivered again.

    Raises:
        Misuse: As `lambda_handler`.
    """
    handed = HandedQueue(opened.queue, _pushed(opened, event, settings), opened.clock)
    committer = OutboxCommitter(opened.store, handed, opened.clock)
    hub = OpenHub(opened.store, handed, committer, Environment(opened.clock, opened.entropy), name=opened.name)
    await _work(hub, handed, definitions, settings, seconds)
    return handed.not_done


def _pushed(hub: OpenHub, event: Mapping[str, Any], settings: Settings) -> Mapping[str, Delivery]:
    if not isinstance(hub.queue, PushedMessages):
        raise Misuse(f"{hub.name}: this queue hands messages to no function: run `perdure worker`.")
    serves = settings.worker
    queues = [*(f"turns:{name}" for name in serves.turns), *(f"tasks:{name}" for name in serves.tasks)]
    return hub.queue.pushed(event, [QueueName(queue) for queue in queues])


async def _work(
    hub: OpenHub, handed: HandedQueue, definitions: tuple[Definition, ...], settings: Settings, seconds: float
) -> None:
    """Run a worker until everything is settled or the time is over."""
    batch = dataclasses.replace(settings.worker, drain_seconds=0.0)
    worker = Worker(hub, definitions, batch, finds_stalled=False)
    running = asyncio.create_task(worker.run())
    settled = asyncio.create_task(hub.clock.wait(handed.settled, max(0.0, seconds)))
    try:
        await asyncio.wait([running, settled], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await worker.stop()
    finally:
        settled.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
