"""Activities: run what orchestrations asked for, and bring the outcome to a turn.

At least once: a crash while one runs, or before its outcome is recorded, makes the message come again. The outcome
is fed straight into the next turn where this worker serves it; the Step that records it also completes the message
(R17), so that until then a crash only repeats the activity.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from perdure import codec, events
from perdure.authoring import ActivityInfo, _activity_info_var
from perdure.engine import POISONED, envelope, out_of_line, turns_queue
from perdure.errors import Corrupt, Failure, Misuse, TooNew, Unavailable, Unknown
from perdure.failures import capture
from perdure.ids import message_id
from perdure.messages import RunTask, TaskEnded
from perdure.spi import Step, queue_class
from perdure.worker._turns import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from perdure.authoring import Activity, Registry
    from perdure.config import WorkerSettings
    from perdure.hub import OpenHub
    from perdure.ids import Key
    from perdure.records import TurnRecord
    from perdure.spi import Delivery
    from perdure.worker._leases import Leases

__all__ = ["Activities"]

logger = logging.getLogger("perdure.worker")

PASS_ON_DELAY_SECONDS = 5.0

Ended = events.TaskCompleted | events.TaskFailed


class Activities:
    """The activities in hand of one worker.

    Args:
        hub: Where.
        registry: What this worker can run.
        settings: How many at once, and which queues.
        leases: Deliveries in hand.
        deliver: Takes an outcome to the instance's next turn.
    """

    def __init__(
        self,
        hub: OpenHub,
        registry: Registry,
        settings: WorkerSettings,
        leases: Leases,
        deliver: Callable[[Key, Arrival], None],
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._settings = settings
        self._leases = leases
        self._deliver = deliver
        self._serves_tasks = frozenset(settings.tasks)
        self._serves_turns = frozenset(settings.turns)
        self._running: dict[asyncio.Task[None], Delivery] = {}
        self._in_hand: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(settings.threads_max, thread_name_prefix="perdure-activity")
        self._threads_free = asyncio.Semaphore(settings.threads_max)
        self._idle = asyncio.Event()
        self.threads_busy = 0
        self.is_draining = False
        self.on_room: Callable[[], object] = lambda: None

    @property
    def busy(self) -> int:
        """How many activities are in hand."""
        return len(self._running)

    def free(self, queue: str) -> int:
        """How many more activities of a queue may be begun."""
        return 0 if self.is_draining else self._settings.activities_max - self._in_hand.get(queue, 0)

    def wanted(self, record: TurnRecord) -> frozenset[str]:
        """Say which activities of a turn this worker would begin at once: it asks to hold them from birth (R17)."""
        wanted: set[str] = set()
        room = {queue: self.free(queue) for queue in self._serves_tasks}
        for event in record.decisions:
            if isinstance(event, events.TaskScheduled) and room.get(event.queue, 0) > 0:
                if self._registry.find_activity(event.name) is not None:
                    room[event.queue] -= 1
                    wanted.add(message_id(record.incarnation, record.execution, event.seq))
        return frozenset(wanted)

    def begin(self, deliveries: Iterable[Delivery]) -> None:
        """Begin received or claimed activities."""
        for delivery in deliveries:
            task = asyncio.get_running_loop().create_task(self._handle(delivery))
            self._running[task] = delivery
            self._leases.hold(delivery, on_lost=task.cancel)
            queue = delivery.envelope.queue.partition(":")[2]
            self._in_hand[queue] = self._in_hand.get(queue, 0) + 1
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        delivery = self._running.pop(task)
        self._in_hand[delivery.envelope.queue.partition(":")[2]] -= 1
        if not self._running:
            self._idle.set()
        self.on_room()

    async def _handle(self, delivery: Delivery) -> None:
        """Run one activity to its outcome. Raises nothing but cancellation."""
        group = delivery.envelope.group
        try:
            try:
                message = codec.decode_message(delivery.envelope.body, where=f"{group}: a task message")
                await self._run(delivery, message)
            except TooNew as problem:
                await self._pass_on(delivery, str(problem))
            except (Corrupt, Misuse) as problem:
                logger.error("%s: put a task message aside: %s", group, problem)
                await self._hub.queue.dead_letter([delivery], str(problem))
                self._leases.let_go([delivery])
        except asyncio.CancelledError:
            await self._broken_off(delivery)
        except (Unavailable, Unknown) as problem:
            logger.warning("%s: an activity will be run again, the hub did not answer: %s", group, problem)
            self._leases.let_go([delivery])
        except Exception:
            logger.exception("%s: a defect of Perdure or of a provider; the activity will be run again", group)
            self._leases.let_go([delivery])

    async def _broken_off(self, delivery: Delivery) -> None:
        """Give back what a drain broke off, as a new message; of a lost lease nothing is left to give."""
        if self.is_draining:
            await self._replace(delivery, 0.0)
        self._leases.let_go([delivery])

    async def _run(self, delivery: Delivery, message: object) -> None:
        if not isinstance(message, RunTask):
            raise Corrupt(f"a queue of tasks holds a {type(message).__name__}")
        activity = self._registry.find_activity(message.task.name)
        if activity is None:
            await self._pass_on(delivery, f"no activity {message.task.name!r} here")
            return
        limit = self._hub.queue.capabilities[queue_class(delivery.envelope.queue)].deliveries_max
        if delivery.delivery_count >= limit:
            outcome: Ended = _poisoned(message, delivery.delivery_count - 1)
        else:
            outcome = await self._outcome(delivery, message, activity)
        await self._finish(delivery, message, outcome)

    async def _pass_on(self, delivery: Delivery, why: str) -> None:
        """Send a message again as a new one for another worker: waiting must not burn deliveries (R15)."""
        logger.info("%s: passed on: %s", delivery.envelope.message_id, why)
        not_before = self._hub.clock.now() + PASS_ON_DELAY_SECONDS
        await self._replace(delivery, not_before)

    async def _replace(self, delivery: Delivery, not_before: float) -> None:
        fresh = msgspec.structs.replace(delivery.envelope, not_before=not_before)
        await self._commit(Step(send=(fresh,), complete=(delivery,)))
        self._leases.let_go([delivery])

    async def _commit(self, step: Step) -> None:
        await self._hub.commit(step, give_up_seconds=self._settings.lease_seconds / 2)

    async def _outcome(self, delivery: Delivery, message: RunTask, activity: Activity[..., object]) -> Ended:
        """Run the function, as far as its arguments fit; whatever it raises is its outcome."""
        task = message.task
        group = delivery.envelope.group
        payload = await self._hub.get_payload(group, task.input)
        _activity_info_var.set(self._info(delivery, message))
        try:
            args, kwargs = activity.decode_args(payload)
            run = self._call_async if activity.is_async else self._call_in_thread
            value = await self._bounded(run(activity, args, kwargs), activity.name, task.timeout)
            result = activity.encode_result(value)
        except asyncio.CancelledError as problem:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise  # the worker broke it off
            return events.TaskFailed(task.seq, capture(problem))
        except (Exception, SystemExit) as problem:
            return events.TaskFailed(task.seq, _failure(problem))
        return await self._completed(group, message, result)

    async def _completed(self, group: Key, message: RunTask, result: bytes) -> Ended:
        """Keep a large result out of line (R16); one that no hub of this kind could keep is a failure."""
        task = message.task
        if len(result) <= self._hub.inline_bytes_max:
            return events.TaskCompleted(task.seq, result)
        name = f"{message.incarnation}/t/{message.execution}-{task.seq}/{self._hub.new_id()}"
        copy = out_of_line(group, name, result)
        try:
            await self._hub.put_payloads([copy.stored])
        except Misuse as problem:
            return events.TaskFailed(task.seq, _failure(problem))
        return events.TaskCompleted(task.seq, copy.reference)

    @staticmethod
    async def _call_async(activity: Activity[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return await activity.fn(*args, **kwargs)

    async def _call_in_thread(
        self, activity: Activity[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Run a sync function in a thread of its own; it cannot be killed, so its thread stays counted."""
        await self._threads_free.acquire()
        loop = asyncio.get_running_loop()
        self.threads_busy += 1
        context = contextvars.copy_context()
        running = self._threads.submit(context.run, functools.partial(activity.fn, *args, **kwargs))
        running.add_done_callback(lambda _: _tell(loop, self._thread_ended))
        return await asyncio.wrap_future(running)

    def _thread_ended(self) -> None:
        self.threads_busy -= 1
        self._threads_free.release()

    async def _bounded(self, run: Coroutine[Any, Any, object], name: str, seconds: float) -> object:
        """Bound an attempt from its start; with no limit it runs in this very task."""
        if not seconds:
            return await run
        ended = asyncio.Event()
        inner = asyncio.get_running_loop().create_task(run)
        inner.add_done_callback(lambda _: ended.set())
        try:
            in_time = await self._hub.clock.wait(ended, seconds)
        finally:
            inner.cancel()  # nothing happens to one that has ended
        if not in_time:
            await asyncio.wait([inner])
            raise TimeoutError(f"Activity {name!r} took longer than its timeout of {seconds:g} s.")
        return await inner

    def _info(self, delivery: Delivery, message: RunTask) -> ActivityInfo:
        task = message.task
        first = task.attempt_of or task.seq
        deadline = datetime.fromtimestamp(self._hub.clock.now() + task.timeout, UTC) if task.timeout else None
        return ActivityInfo(
            name=task.name,
            idempotency_key=message_id(message.incarnation, message.execution, first),
            instance_id=delivery.envelope.group,
            execution=message.execution,
            attempt=task.attempt,
            deadline=deadline,
        )

    async def _finish(self, delivery: Delivery, message: RunTask, outcome: Ended) -> None:
        """Bring the outcome to the instance's next turn: here if this worker serves it, else as a message."""
        group = delivery.envelope.group
        ended = TaskEnded(message.incarnation, message.execution, outcome)
        if message.reply_to in self._serves_turns:
            # Still leased: until a turn has recorded the outcome, a crash only repeats the activity (R17).
            self._leases.hold(delivery)
            self._deliver(group, Arrival(ended, delivery, message.reply_to))
            return
        name = message_id(message.incarnation, message.execution, f"{outcome.seq}/done")
        sent = envelope(turns_queue(message.reply_to), group, name, ended)
        await self._commit(Step(send=(sent,), complete=(delivery,)))
        self._leases.let_go([delivery])

    async def drain(self, seconds: float) -> None:
        """Begin nothing more; wait for what runs; then break it off and give it back.

        Args:
            seconds: How long to wait; 0 gives everything back at once.
        """
        self.is_draining = True
        if self._running:
            self._idle.clear()
            await self._hub.clock.wait(self._idle, seconds)
        left = list(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        if self.threads_busy:
            logger.warning(
                "%d activities in threads cannot be broken off; they were given back and may run twice.",
                self.threads_busy,
            )
        self._threads.shutdown(wait=False, cancel_futures=True)


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Call back on the loop, which may be closed by the time a thread ends."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


def _failure(problem: BaseException) -> Failure:
    """Record what an activity raised. Bad arguments and results stay bad: no retry mends them."""
    failure = capture(problem)
    return msgspec.structs.replace(failure, retryable=False) if isinstance(problem, Misuse) else failure


def _poisoned(message: RunTask, lost_count: int) -> events.TaskFailed:
    """Give up an activity whose message was lost too often: it seems to take its process down (R15)."""
    text = f"Activity {message.task.name!r} was begun {lost_count} times and its worker was lost each time."
    return events.TaskFailed(message.task.seq, Failure(POISONED, text, retryable=False))
