"""Worker: receives, runs turns and activities, keeps leases, drains.

    receivers ──turn messages──► mailboxes ──► carry_out ──claimed activities──► activities
        └──────task messages──────────────────────────────────────────────────►    │
                                    mailboxes ◄──────────outcomes (R17)────────────┘
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING

from perdure import codec
from perdure.authoring import Registry
from perdure.engine import tasks_queue, turns_queue, wake
from perdure.errors import Corrupt, TooNew, Unavailable, Unknown
from perdure.ids import Key
from perdure.spi import Query, QueueName, Step, WorkerId, queue_class
from perdure.worker._activities import Activities
from perdure.worker._carry_out import CarryOut, Identity
from perdure.worker._decide import Decide
from perdure.worker._leases import Leases
from perdure.worker._seats import Seats
from perdure.worker._solitude import Solitude
from perdure.worker._turns import Arrival, Mailboxes
from perdure.worker._watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from perdure.authoring import Definition
    from perdure.config import WorkerSettings
    from perdure.hub import OpenHub
    from perdure.spi import Delivery

__all__ = ["Worker"]

logger = logging.getLogger("perdure.worker")

RECEIVE_WAIT_SECONDS = 20.0
UNAVAILABLE_FIRST_SECONDS = 0.5
UNAVAILABLE_MAX_SECONDS = 30.0
NUDGED_MAX = 10_000


class Worker:
    """Runs the orchestrations and activities it was given, from the queues it serves.

    Args:
        hub: Opened; shared with clients and other workers of the process, and not closed here.
        definitions: What it can run. What it does not know it leaves to other workers.
        settings: Queues and limits.
    """

    def __init__(self, hub: OpenHub, definitions: Iterable[Definition], settings: WorkerSettings) -> None:
        self.hub = hub
        self.settings = settings
        self.registry = Registry(definitions)
        self.id = WorkerId(f"{socket.gethostname()}-{os.getpid()}-{hub.new_id()[:6]}")
        self._seats = Seats(instances_max=settings.cache_instances, bytes_max=settings.cache_bytes)
        self._leases = Leases(hub.queue, hub.clock, settings.lease_seconds)
        self._watchdog = Watchdog(settings.turn_seconds_max)
        self._activities = Activities(hub, self.registry, settings, self._leases, self._deliver)
        self._solitude = Solitude(hub.clock, self._others_at_work)
        carry_out = CarryOut(
            hub,
            Identity(self.id, self.registry.code_version, settings.lease_seconds),
            decide=Decide(hub, self.registry, self._seats, self._watchdog),
            seats=self._seats,
            leases=self._leases,
            activities=self._activities,
            solitude=self._solitude,
        )
        self._mailboxes = Mailboxes(carry_out, instances_max=settings.turns_max)
        self._activities.on_room = self._mailboxes.nudge
        self._stop_wanted = asyncio.Event()
        self._drain_seconds = settings.drain_seconds
        self._is_stopped = asyncio.Event()

    def _others_at_work(self) -> int:
        return self._mailboxes.busy - 1 + self._activities.busy

    def _deliver(self, key: Key, arrival: Arrival) -> None:
        self._mailboxes.put(key, arrival)

    async def run(self) -> None:
        """Work until `stop` is called.

        Raises:
            PerdureError: The hub cannot be worked with; stop the process and look.
        """
        keeper = asyncio.create_task(self._leases.keep())
        receivers = [
            *[self._receive(turns_queue(name), self._turns_free, self._admit_turns) for name in self.settings.turns],
            *[self._receive_tasks(name) for name in self.settings.tasks],
        ]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(receiver) for receiver in receivers]
                tasks.append(group.create_task(self._nudge_stalled()))
                await self._stop_wanted.wait()
                for task in tasks:
                    task.cancel()
        except* Exception as failures:
            self._drain_seconds = 0.0
            raise _first(failures) from None
        finally:
            await self._finish()
            keeper.cancel()
            self._is_stopped.set()

    async def _finish(self) -> None:
        """Finish or give back; what is left becomes visible again when its lease ends. Nothing is lost."""
        self._solitude.is_wanted = False
        await self._activities.drain(self._drain_seconds)
        await self._mailboxes.wait_for(lambda: not self._mailboxes.busy)
        self._seats.clear()
        self._watchdog.stop()

    async def stop(self, *, drain_seconds: float | None = None) -> None:
        """Drain and stop: no new work, running turns end, running activities end or are given back.

        Args:
            drain_seconds: How long activities may go on; None takes the setting.
        """
        if drain_seconds is not None:
            self._drain_seconds = drain_seconds
        self._stop_wanted.set()
        await self._is_stopped.wait()

    def _turns_free(self) -> int:
        return 0 if self._solitude.is_wanted else self._mailboxes.free

    async def _receive_tasks(self, name: str) -> None:
        def free() -> int:
            return 0 if self._solitude.is_wanted else self._activities.free(name)

        async def begin(deliveries: list[Delivery]) -> None:
            self._activities.begin(deliveries)

        await self._receive(tasks_queue(name), free, begin)

    async def _receive(
        self, queue: QueueName, free: Callable[[], int], admit: Callable[[list[Delivery]], Awaitable[None]]
    ) -> None:
        """Receive from one queue, no more than there is room for."""
        batch_max = self.hub.queue.capabilities[queue_class(queue)].receive_batch_max
        delay = UNAVAILABLE_FIRST_SECONDS
        while True:
            await self._mailboxes.wait_for(lambda: free() > 0)
            try:
                deliveries = await self.hub.queue.receive(
                    queue,
                    limit=min(free(), batch_max),
                    lease_seconds=self.settings.lease_seconds,
                    wait_seconds=RECEIVE_WAIT_SECONDS,
                    worker=self.id,
                )
                await admit(deliveries)
                delay = UNAVAILABLE_FIRST_SECONDS
            except (Unavailable, Unknown) as problem:
                # Receive nothing for a while, give nothing back: waiting is not the messages' fault (R15).
                logger.warning("%s: no answer, trying again in %g s: %s", queue, delay, problem)
                await self.hub.clock.sleep(delay)
                delay = min(delay * 2, UNAVAILABLE_MAX_SECONDS)

    async def _admit_turns(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            key = delivery.envelope.group
            try:
                message = codec.decode_message(delivery.envelope.body, where=f"{key}: a turn message")
            except TooNew as problem:
                logger.warning("%s: left to a newer worker: %s", key, problem)
                await self.hub.queue.abandon([delivery], delay_seconds=UNAVAILABLE_MAX_SECONDS)
            except Corrupt as problem:
                logger.error("%s: put a message aside: %s", key, problem)
                await self.hub.queue.dead_letter([delivery], str(problem))
            else:
                self._leases.hold(delivery)
                self._mailboxes.put(key, Arrival(message, delivery))

    async def _nudge_stalled(self) -> None:
        """Have stalled instances tried at once by this worker's code, not when their next try is due."""
        names = {definition.name for definition in self.registry.orchestrations()}
        if not names or not self.settings.turns:
            return
        query = Query(stalled=True, names=tuple(sorted(names)), limit=NUDGED_MAX)
        try:
            async for summary in self.hub.store.scan(query):
                nudge = wake(Key(summary.key), summary.incarnation, 0, summary.queue)
                await self.hub.commit(Step(send=(nudge,)), give_up_seconds=self.settings.lease_seconds)
        except (Unavailable, Unknown) as problem:
            logger.warning("Stalled instances were not nudged; they are tried when due: %s", problem)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
