"""Activities and sub-orchestrations that code waits for, over all their attempts.

One `WorkFuture` is one call of the user. Its attempts are commands of their own:

    start ──► attempt open ──► completed                      the future has a result
                 ▲    │
                 │    └──────► failed ──► no further attempt  the future has an exception
                 │               │
                 │               ▼
                 └──── timer fires (at once, if the delay is zero)

Cancelling the future cancels what is open: the attempt, or the timer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.commands import CancelTask, CreateSubOrchestration, ScheduleTask
from perdure.errors import Failure, Misuse
from perdure.events import RetryRules, SubOrchestrationCreated, TaskCancelRequested, TaskScheduled
from perdure.ids import INSTANCE_ID_CHARACTERS_MAX
from perdure.replay import _chance
from perdure.replay._lines import settle
from perdure.replay._retry import Handler, retry_delay
from perdure.replay._tasks import ReplayFuture, ReplayTimerHandle

if TYPE_CHECKING:
    from perdure.replay._loop import ReplayLoop

__all__ = ["Restore", "WorkFuture", "derived_child_id"]

R = TypeVar("R")
Restore = Callable[[Failure, str], BaseException]

CHILD_ID_HEAD_CHARACTERS = 200


class WorkFuture(ReplayFuture[R]):
    """The outcome of one activity or sub-orchestration.

    Attributes:
        seq: Command of the attempt that is open.
        first_seq: Command of the first attempt.
        asked: What holds for the open or last attempt: the command, or in replay the recorded event.
        asked_at: Orchestration time of the first attempt.
        child_id: Instance id that the code gave; None where it is derived.
        timer: The wait before the next attempt, while there is one.
    """

    __slots__ = (
        "asked",
        "asked_at",
        "child_id",
        "decode",
        "first_seq",
        "handler",
        "input",
        "loop",
        "restore",
        "seq",
        "timer",
    )
    asked: ScheduleTask | TaskScheduled | CreateSubOrchestration | SubOrchestrationCreated
    asked_at: float
    child_id: str | None
    decode: Callable[[bytes], R]
    first_seq: int
    handler: Handler | None
    input: bytes
    loop: ReplayLoop
    restore: Restore
    seq: int
    timer: ReplayTimerHandle | None

    def start(
        self, loop: ReplayLoop, input: bytes, decode: Callable[[bytes], R], handler: Handler | None, restore: Restore
    ) -> None:
        """Remember what every attempt shares."""
        self.loop = loop
        self.input = input
        self.decode = decode
        self.handler = handler
        self.restore = restore
        self.timer = None
        self.first_seq = 0
        self.asked_at = loop.now()

    def ask_task(self, name: str, queue: str, timeout: float, retry: RetryRules | None, attempt: int) -> None:
        """Ask for an activity."""
        loop = self.loop
        self.seq = seq = loop.ledger.next_seq()
        asked = ScheduleTask(seq, name, self.input, queue, timeout, attempt, self.first_seq, retry)
        self.asked = loop.give(asked, TaskScheduled)
        self.first_seq = self.first_seq or seq
        loop.open[seq] = self

    def ask_child(self, name: str, version: str | None, queue: str, retry: RetryRules | None, attempt: int) -> None:
        """Ask for a sub-orchestration; every attempt is an instance of its own unless the code gave the id."""
        loop = self.loop
        self.seq = seq = loop.ledger.next_seq()
        info = loop.info
        child_id = self.child_id
        instance_id = child_id or derived_child_id(info.instance_id, info.execution, seq)
        seed = _chance.child_seed(loop.seed, info.execution, seq)
        asked = CreateSubOrchestration(
            seq, name, instance_id, self.input, queue, version, seed, attempt, self.first_seq, retry
        )
        self.asked = loop.give(asked, SubOrchestrationCreated, is_target_derived=child_id is None)
        self.first_seq = self.first_seq or seq
        loop.open[seq] = self

    def complete(self, payload: bytes) -> None:
        """The open attempt returned.

        Raises:
            TurnDoomed: What is recorded does not fit the code's annotation any more: the code was changed, and other
                code can mend it. Never an outcome of the instance.
        """
        try:
            settle(self, self.decode, payload, but_raise=Misuse)
        except Misuse as problem:
            raise self.loop.doom("input", f"{self.describe()}: {problem}", problem) from problem

    def fail(self, failure: Failure) -> None:
        """The open attempt failed: wait and ask again, or give up."""
        try:
            delay = self._delay(failure)
        except Exception as error:  # noqa: BLE001 - handed on, not swallowed: the awaiting code gets it
            error.add_note(f"Raised by the retry handler of {self.describe()}, which was asked about: {failure}")
            self.set_exception(error)
            return
        if delay is None:
            self.set_exception(self._restored(failure))
        elif delay:
            self.timer = self.loop.call_later(delay, self._ask_again)
        else:
            self._ask_again()

    def _restored(self, failure: Failure) -> BaseException:
        try:
            return self.restore(failure, getattr(self.asked, "instance_id", ""))
        except Exception as error:  # noqa: BLE001 - handed on, not swallowed: the awaiting code gets it
            error.add_note(f"Raised while making the exception of {self.describe()} again, from: {failure}")
            return error

    def _delay(self, failure: Failure) -> float | None:
        rules, loop = self.asked.retry, self.loop
        if rules is None:
            return None
        return retry_delay(
            rules,
            self.handler,
            failure,
            attempt=self.asked.attempt,
            since_asked=loop.now() - self.asked_at,
            fraction=lambda: _chance.fraction(loop.seed, loop.info.execution, self.seq),
        )

    def _ask_again(self) -> None:
        self.timer = None
        asked = self.asked
        if isinstance(asked, ScheduleTask | TaskScheduled):
            self.ask_task(asked.name, asked.queue, asked.timeout, asked.retry, asked.attempt + 1)
        else:
            self.ask_child(asked.name, asked.version, asked.queue, asked.retry, asked.attempt + 1)

    def cancel(self, msg: Any | None = None) -> bool:
        if not self.done():
            self._abandon()
        return super().cancel(msg)

    def _abandon(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        elif self.loop.open.pop(self.seq, None) is not None and not self.loop.is_over():
            self.loop.give(CancelTask(self.seq), TaskCancelRequested)

    def describe_retry(self) -> str:
        """Say what waits, before a further attempt."""
        return f"attempt {self.asked.attempt + 1} of {self.asked.name}"

    def describe(self) -> str:
        """Say what is waited for."""
        asked = self.asked
        if isinstance(asked, ScheduleTask | TaskScheduled):
            return f"activity {asked.name} (seq {self.seq})"
        return f"sub-orchestration {asked.name} as {asked.instance_id} (seq {self.seq})"


def derived_child_id(parent: str, execution: int, seq: int) -> str:
    """Derive the id of a sub-orchestration that code gave none.

    `{parent}:{seq}`; from the second execution on `{parent}:{execution}.{seq}`, since seq begins again there. Of a
    parent id that is too long for it, the end is replaced by a hash.
    """
    place = f":{execution}.{seq}" if execution else f":{seq}"
    if len(parent) + len(place) <= INSTANCE_ID_CHARACTERS_MAX:
        return parent + place
    digest = hashlib.blake2b(parent.encode(), digest_size=8).hexdigest()
    return f"{parent[:CHILD_ID_HEAD_CHARACTERS]}~{digest}{place}"
