"""Worker: receives, runs turns and activities, keeps leases, drains.

::

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

import msgspec

from perdure import codec
from perdure.authoring import Registry
from perdure.engine import tasks_queue, turns_queue, wake
from perdure.errors import Corrupt, Misuse, TooNew
from perdure.ids import Key
from perdure.spi import Query, QueueName, Step, WorkerId, queue_class
from perdure.worker._activities import Activities
from perdure.worker._carry_out import CarryOut, Identity
from perdure.worker._decide import Decide
from perdure.worker._leases import Leases
from perdure.worker._outages import Outages
from perdure.worker._seats import Seats
from perdure.worker._solitude import Solitude
from perdure.worker._suspicion import is_poisoned
from perdure.worker._turns import Arrival, Mailboxes, nudge
from perdure.worker._watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from perdure.authoring import Definition
    from perdure.config import WorkerSettings
    from perdure.hub import OpenHub
    from perdure.spi import Delivery, Summary

__all__ = ["Worker"]

logger = logging.getLogger("perdure.worker")

RECEIVE_WAIT_SECONDS = 20.0
LEFT_TO_NEWER_SECONDS = 30.0
NUDGED_MAX = 10_000


class Worker:
    """Runs the orchestrations and activities it was given, from the queues it serves.

    Args:
        hub: Opened; shared with clients and other workers of the process, and not closed here.
        definitions: What it can run. What it does not know it leaves to other workers.
        settings: Queues and limits.
        finds_stalled: Whether it begins by looking for instances that stalled for lack of its code. That is a scan;
            without it each of them is tried when its next try is due.
    """

    def __init__(
        self, hub: OpenHub, definitions: Iterable[Definition], settings: WorkerSettings, *, finds_stalled: bool = True
    ) -> None:
        self.hub = hub
        self.settings = settings
        self.registry = Registry(definitions)
        self.id = WorkerId(f"{socket.gethostname()}-{os.getpid()}-{hub.new_id()[:6]}")
        self._watchdog = Watchdog(settings.turn_seconds_max)
        self._seats = Seats(
            instances_max=settings.cache_instances, bytes_max=settings.cache_bytes, watch=self._watchdog.watch
        )
        self._leases = Leases(hub.queue, hub.clock, settings.lease_seconds)
        self._outages = Outages(hub.clock)
        self._solitude = Solitude(hub.clock)
        self._activities = Activities(
            hub,
            self.registry,
            settings,
            leases=self._leases,
            outages=self._outages,
            solitude=self._solitude,
            deliver=self._deliver,
        )
        is_checking = settings.replay_check == "always"
        carry_out = CarryOut(
            hub,
            Identity(self.id, self.registry.code_version, settings.lease_seconds),
            decide=Decide(hub, self.registry, self._seats, self._watchdog, is_checking=is_checking),
            seats=self._seats,
            leases=self._leases,
            outages=self._outages,
            activities=self._activities,
            solitude=self._solitude,
        )
        self._mailboxes = Mailboxes(carry_out, instances_max=settings.turns_max)
        self._activities.on_room = self._mailboxes.nudge
        self._solitude.on_end = self._mailboxes.nudge
        self._finds_stalled = finds_stalled
        self._stop_wanted = asyncio.Event()
        self._drain_seconds = settings.drain_seconds
        self._has_begun = False
        self._is_stopped = asyncio.Event()

    def _deliver(self, key: Key, arrival: Arrival) -> None:
        self._mailboxes.put(key, arrival)

    async def run(self) -> None:
        """Work until `stop` is called. Being cancelled drains as well; a second time breaks everything off.

        Raises:
            PerdureError: The hub cannot be worked with; stop the process and look.
            Misuse: It was run before: make another worker.
        """
        if self._has_begun:
            raise Misuse("A worker runs once: make another one.")
        self._has_begun = True
        try:
            async with asyncio.TaskGroup() as keeping:
                keeper = keeping.create_task(self._keep_leases())
                try:
                    await self._serve()
                finally:
                    await self._finish()
                    keeper.cancel()
        except BaseExceptionGroup as failures:
            first, *others = _leaves(failures)
            for other in others:
                logger.error("The worker %s also failed with this", self.id, exc_info=other)  # noqa: TRY400 - another one
            raise first from first.__cause__
        finally:
            self._is_stopped.set()

    async def _keep_leases(self) -> None:
        try:
            await self._leases.keep()
        except Exception:
            self._drain_seconds = 0.0  # what is held gets lost meanwhile: end it
            raise

    async def _serve(self) -> None:
        """Receive until `stop` is called, or something fails."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._receive_turns(turns_queue(name))) for name in self.settings.turns]
            tasks += [group.create_task(self._receive_tasks(tasks_queue(name))) for name in self.settings.tasks]
            if self._finds_stalled:
                tasks.append(group.create_task(self._nudge_stalled()))
            try:
                await self._stop_wanted.wait()
            except asyncio.CancelledError:
                if any(task.done() and not task.cancelled() and task.exception() for task in tasks):
                    self._drain_seconds = 0.0
                raise
            for task in tasks:
                task.cancel()

    async def _finish(self) -> None:
        """Finish or give back; what is left becomes visible again when its lease ends. Nothing is lost."""
        try:
            await self._activities.drain(self._drain_seconds)
            await self._mailboxes.wait_for(lambda: not self._mailboxes.busy)
            await self._activities.drain(0)  # what a last turn was born with
            await self._mailboxes.wait_for(lambda: not self._mailboxes.busy)
        finally:
            self._activities.break_off()
            self._mailboxes.break_off()
            self._activities.close()
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
        if self._has_begun:
            await self._is_stopped.wait()

    async def _receive_turns(self, queue: QueueName) -> None:
        def free() -> int:
            return 0 if self._solitude.is_wanted else self._mailboxes.free

        await self._receive(queue, free, self._admit_turns)

    async def _receive_tasks(self, queue: QueueName) -> None:
        def free() -> int:
            return 0 if self._solitude.is_wanted else self._activities.free(queue)

        async def begin(deliveries: list[Delivery]) -> None:
            self._activities.begin_received(deliveries)

        await self._receive(queue, free, begin)

    async def _receive(
        self, queue: QueueName, free: Callable[[], int], admit: Callable[[list[Delivery]], Awaitable[None]]
    ) -> None:
        """Receive from one queue, no more than there is room for."""
        batch_max = self.hub.queue.capabilities[queue_class(queue)].receive_batch_max

        async def receive() -> None:
            await self._mailboxes.wait_for(lambda: free() > 0)
            deliveries = await self.hub.queue.receive(
                queue,
                limit=min(free(), batch_max),
                lease_seconds=self.settings.lease_seconds,
                wait_seconds=RECEIVE_WAIT_SECONDS,
                worker=self.id,
            )
            await admit(deliveries)

        while True:
            # While there is no answer nothing is received, and nothing given back (R15).
            await self._outages.outlast(queue, receive)

    async def _admit_turns(self, deliveries: list[Delivery]) -> None:
        """Put messages into their mailboxes; what cannot be read comes last, for that takes calls to the hub."""
        unreadable: list[tuple[Delivery, Corrupt | TooNew]] = []
        for delivery in deliveries:
            key = delivery.envelope.group
            try:
                message = codec.decode_message(delivery.envelope.body, where=f"{key}: a turn message")
            except (Corrupt, TooNew) as problem:
                unreadable.append((delivery, problem))
            else:
                self._leases.hold(delivery)
                self._mailboxes.put(key, Arrival(message, delivery))
        for delivery, reason in unreadable:
            await self._refuse(delivery, reason)

    async def _refuse(self, delivery: Delivery, problem: Corrupt | TooNew) -> None:
        key = delivery.envelope.group
        if isinstance(problem, Corrupt):
            logger.error("%s: put a message aside: %s", key, problem)
            await self.hub.queue.dead_letter([delivery], str(problem))
            return
        logger.warning("%s: left to a newer worker: %s", key, problem)
        not_before = self.hub.clock.now() + LEFT_TO_NEWER_SECONDS
        fresh = msgspec.structs.replace(delivery.envelope, not_before=not_before)  # R15: burns no delivery
        await self._commit(Step(send=(fresh,), complete=(delivery,)))

    async def _commit(self, step: Step) -> None:
        await self.hub.commit(step, give_up_seconds=self.settings.lease_seconds / 2)

    async def _nudge_stalled(self) -> None:
        """Have stalled instances tried at once by this worker's code, not when their next try is due.

        Poisoned ones are not: a process that dies of them would be started again, nudge them, and die.
        """
        names = tuple(sorted({definition.name for definition in self.registry.orchestrations()}))
        if not names or not self.settings.turns:
            return
        query = Query(stalled=True, names=names, limit=NUDGED_MAX)

        async def find() -> list[Summary]:
            return [each async for each in self.hub.store.scan(query) if not is_poisoned(each.stalled)]

        for summary in await self._outages.outlast("finding stalled instances", find):
            await self._mailboxes.wait_for(lambda: self._mailboxes.free > 0)
            key = Key(summary.key)
            self._mailboxes.put(key, nudge(wake(key, summary.incarnation, 0, summary.queue)))


def _leaves(failures: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for each in failures.exceptions:
        if isinstance(each, BaseExceptionGroup):
            group: BaseExceptionGroup[BaseException] = each  # pyright: ignore[reportUnknownVariableType]
            leaves.extend(_leaves(group))
        else:
            leaves.append(each)
    return leaves
