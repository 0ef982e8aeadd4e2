"""Activities in hand: received or born here, run, and their outcomes brought to a turn.

At least once: a crash while one runs, or before its outcome is recorded, makes the message come again. The outcome
is fed straight into the next turn where this worker serves it; the Step that records it also completes the message
(R17), so that until then a crash only repeats the activity.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perdure import codec, events
from perdure.engine import POISONED, envelope, tasks_queue, turns_queue
from perdure.errors import Corrupt, Failure, Misuse, TooNew, Unavailable, Unknown
from perdure.ids import message_id
from perdure.messages import RunTask, TaskEnded
from perdure.spi import Step, queue_class
from perdure.worker._attempts import Attempts, Ended
from perdure.worker._turns import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from perdure.authoring import Registry
    from perdure.config import WorkerSettings
    from perdure.hub import OpenHub
    from perdure.ids import Key
    from perdure.records import TurnRecord
    from perdure.spi import Delivery, QueueName
    from perdure.worker._leases import Leases
    from perdure.worker._outages import Outages
    from perdure.worker._solitude import Solitude

__all__ = ["Activities"]

logger = logging.getLogger("perdure.worker")

PASS_ON_DELAY_SECONDS = 5.0
CLEAN_UP_SECONDS = 10.0
"""How long activities that are broken off may take to clean up before they are left to themselves."""


class Reserved(NamedTuple):
    """Room that is kept.

    Attributes:
        message_ids: Of the activities it is for: to be claimed, that is held from birth (R17).
        queues: The queue of each.
    """

    message_ids: frozenset[str]
    queues: tuple[QueueName, ...]


class Activities:
    """The activities in hand of one worker.

    Args:
        hub: Where.
        registry: What this worker can run.
        settings: How many at once, and which queues.
        leases: Deliveries in hand.
        outages: Makes calls to the hub.
        solitude: Everything at work.
        deliver: Takes an outcome to the instance's next turn.
    """

    def __init__(
        self,
        hub: OpenHub,
        registry: Registry,
        settings: WorkerSettings,
        *,
        leases: Leases,
        outages: Outages,
        solitude: Solitude,
        deliver: Callable[[Key, Arrival], None],
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._settings = settings
        self._leases = leases
        self._outages = outages
        self._solitude = solitude
        self._deliver = deliver
        self._attempts = Attempts(hub, outages, settings.threads_max)
        self._serves_tasks = frozenset(tasks_queue(name) for name in settings.tasks)
        self._serves_turns = frozenset(settings.turns)
        self._tasks: dict[asyncio.Task[None], QueueName] = {}
        self._in_hand: Counter[QueueName] = Counter()
        self._reserved: Counter[QueueName] = Counter()
        self._is_idle = asyncio.Event()
        self._is_draining = False
        self.on_room: Callable[[], object] = lambda: None

    @property
    def busy(self) -> int:
        """How many activities are in hand."""
        return len(self._tasks)

    @property
    def threads_busy(self) -> int:
        """How many threads run an activity, those that were given up included."""
        return self._attempts.threads.busy

    def free(self, queue: QueueName) -> int:
        """How many more activities of a queue may be begun.

        Outcomes that wait to be recorded take no place of running ones, but there is a limit to them as well: while
        turns cannot be committed they would pile up.
        """
        if self._is_draining:
            return 0
        most = self._settings.activities_max
        running = self._in_hand[queue] + self._reserved[queue]
        unrecorded = self._leases.count(queue) - self._in_hand[queue]
        return max(0, min(most - running, 2 * most - running - unrecorded))

    def reserve(self, record: TurnRecord) -> Reserved:
        """Keep room, while a turn is committed, for those of its activities that this worker would begin at once.

        `release` follows, whatever comes of the turn.
        """
        wanted: list[str] = []
        queues: list[QueueName] = []
        for event in record.decisions:
            if isinstance(event, events.TaskScheduled) and self._registry.find_activity(event.name) is not None:
                queue = tasks_queue(event.queue)
                if queue in self._serves_tasks and self.free(queue) > 0:
                    self._reserved[queue] += 1
                    queues.append(queue)
                    wanted.append(message_id(record.incarnation, record.execution, event.seq))
        return Reserved(frozenset(wanted), tuple(queues))

    def release(self, reserved: Reserved) -> None:
        """Give the room free again; what was begun meanwhile takes its own."""
        for queue in reserved.queues:
            self._reserved[queue] -= 1
        self.on_room()

    def begin(self, deliveries: Iterable[Delivery]) -> None:
        """Begin claimed activities; there is room for them."""
        for delivery in deliveries:
            self._take(delivery, self._give_back(delivery) if self._is_draining else self._handle(delivery))

    def begin_received(self, deliveries: Iterable[Delivery]) -> None:
        """Begin received activities, and give back those for which a turn has meanwhile taken the room."""
        for delivery in deliveries:
            has_room = self.free(delivery.envelope.queue) > 0
            self._take(delivery, self._handle(delivery) if has_room else self._give_back(delivery))

    def _take(self, delivery: Delivery, handling: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(handling)
        queue = delivery.envelope.queue
        self._tasks[task] = queue
        self._in_hand[queue] += 1
        self._leases.hold(delivery, on_lost=task.cancel)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._in_hand[self._tasks.pop(task)] -= 1
        if not self._tasks:
            self._is_idle.set()
        self.on_room()

    async def _handle(self, delivery: Delivery) -> None:
        """Run one activity to its outcome. Raises nothing but cancellation."""
        group = delivery.envelope.group
        is_delivered = False
        try:
            try:
                async with self._solitude.in_company():
                    is_delivered = await self._run(delivery)
            except asyncio.CancelledError:
                if not self._is_draining:
                    raise  # the lease is lost, or the process ends: there is nothing left to give back
                await self._replace(delivery, 0.0)
        except (Unavailable, Unknown) as problem:
            logger.warning("%s: an activity will be run again, the hub did not answer: %s", group, problem)
        except Exception:
            logger.exception("%s: a defect of Perdure or of a provider; the activity will be run again", group)
        finally:
            if not is_delivered:
                self._leases.let_go([delivery])

    async def _give_back(self, delivery: Delivery) -> None:
        try:
            await self._replace(delivery, 0.0)
        except (Unavailable, Unknown) as problem:
            logger.warning("%s: comes again when its lease ends: %s", delivery.envelope.message_id, problem)
        finally:
            self._leases.let_go([delivery])

    async def _run(self, delivery: Delivery) -> bool:
        """Run what the message asks for; tell whether a turn of this worker has the outcome and the delivery now."""
        group = delivery.envelope.group
        try:
            message = codec.decode_message(delivery.envelope.body, where=f"{group}: a task message")
            if not isinstance(message, RunTask):
                raise Corrupt(f"a queue of tasks holds a {type(message).__name__}")  # noqa: TRY301 - as damaged bytes
            return await self._run_task(delivery, message)
        except TooNew as problem:
            await self._pass_on(delivery, str(problem))
        except (Corrupt, Misuse) as problem:
            logger.error("%s: put a task message aside: %s", group, problem)  # noqa: TRY400 - the text says all
            await self._hub.queue.dead_letter([delivery], str(problem))
        return False

    async def _run_task(self, delivery: Delivery, message: RunTask) -> bool:
        activity = self._registry.find_activity(message.task.name)
        if activity is None:
            await self._pass_on(delivery, f"no activity {message.task.name!r} here")
            return False
        limit = self._hub.queue.capabilities[queue_class(delivery.envelope.queue)].deliveries_max
        if delivery.delivery_count >= limit:
            outcome: Ended = _poisoned(message, delivery.delivery_count - 1)
        else:
            outcome = await self._attempts.outcome(activity, message, delivery.envelope.group)
        return await self._finish(delivery, message, outcome)

    async def _finish(self, delivery: Delivery, message: RunTask, outcome: Ended) -> bool:
        """Bring the outcome to the instance's next turn: here if this worker serves it, else as a message."""
        group = delivery.envelope.group
        ended = TaskEnded(message.incarnation, message.execution, outcome)
        if message.reply_to in self._serves_turns:
            # Still leased: until a turn has recorded the outcome, a crash only repeats the activity (R17).
            self._leases.hold(delivery)
            self._deliver(group, Arrival(ended, delivery, message.reply_to))
            return True
        name = message_id(message.incarnation, message.execution, f"{outcome.seq}/done")
        step = Step(send=(envelope(turns_queue(message.reply_to), group, name, ended),), complete=(delivery,))
        await self._commit(step)
        return False

    async def _pass_on(self, delivery: Delivery, why: str) -> None:
        """Send a message again as a new one for another worker: waiting must not burn deliveries (R15)."""
        logger.info("%s: passed on: %s", delivery.envelope.message_id, why)
        await self._replace(delivery, self._hub.clock.now() + PASS_ON_DELAY_SECONDS)

    async def _replace(self, delivery: Delivery, not_before: float) -> None:
        fresh = msgspec.structs.replace(delivery.envelope, not_before=not_before)
        await self._commit(Step(send=(fresh,), complete=(delivery,)))

    async def _commit(self, step: Step) -> None:
        give_up_seconds = self._settings.lease_seconds / 2
        what = step.complete[0].envelope.message_id
        await self._outages.outlast(what, lambda: self._hub.commit(step, give_up_seconds=give_up_seconds))

    async def drain(self, seconds: float) -> None:
        """Begin nothing more; wait for what runs; then break it off and give it back.

        Args:
            seconds: How long to wait; 0 gives everything back at once.
        """
        self._is_draining = True
        await self._wait_until_idle(seconds)
        self._outages.give_up.set()
        self.break_off()
        await self._wait_until_idle(CLEAN_UP_SECONDS)

    def close(self) -> None:
        """Let go of the threads, and tell of what could not be broken off."""
        if self._tasks or self.threads_busy:
            logger.warning(
                "%d activities and %d threads could not be broken off; what they do will be done again elsewhere.",
                len(self._tasks),
                self.threads_busy,
            )
        self._attempts.threads.stop()

    async def _wait_until_idle(self, seconds: float) -> None:
        self._is_idle.clear()
        if self._tasks:
            await self._hub.clock.wait(self._is_idle, seconds)

    def break_off(self) -> None:
        """Cancel everything that runs."""
        for task in self._tasks:
            task.cancel()


def _poisoned(message: RunTask, lost_count: int) -> events.TaskFailed:
    """Give up an activity whose message was lost too often: it seems to take its process down (R15)."""
    text = f"Activity {message.task.name!r} was begun {lost_count} times and its worker was lost each time."
    return events.TaskFailed(message.task.seq, Failure(POISONED, text, retryable=False))
