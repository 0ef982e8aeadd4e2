"""An asyncio event loop whose timers and awaits are durable, and that never waits.

Theory of operation
-------------------
`Execution` feeds one input at a time (an activity's result, a fired timer, an event) and calls `run_until_blocked`,
which runs callbacks, first in first out, until none is ready. Then nothing can happen until the next input: every
wait of the code is a future that an input completes. So the same inputs give the same run, and the commands that code
gives on the way (`give`) are the same as those that were recorded, or the code has left its record.

    input ──► open[seq] / event line ──► future ──► call_soon ──► task ──► code ──► give ──► ledger ──► commands

Rules of this file:
- Nothing reads a clock or draws: `time()` is the recorded time of the turn, numbers derive from the recorded seed.
- The loop is "running" only inside `enter` … `leave`. A command or callback from outside of that is refused: it comes
  from another instance, another thread or a finalizer, and nothing would record or run it.
- Whatever dooms the turn is noted on the loop (`doom`) before it is raised, so that code which swallows the exception
  hides nothing; the driver stops after that callback.
- Asyncio keeps tasks by weak reference and finishes dropped async generators on whichever loop runs. Here both are
  owned by the loop and end when it is closed: garbage has no order, and would run code unrecorded.

Known ugliness: C code builds futures without telling their loop, except that each asks `loop.get_debug()` while it is
made. That call is where futures that hash by address are found (`get_debug`). `as_completed` is found by its frame.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

from perdure.commands import CancelTimer, Command, SetTimer
from perdure.errors import Misuse, NotDeterministic
from perdure.events import DECISIONS, RetryRules, TimerCanceled, TimerCreated
from perdure.ids import check_instance_id
from perdure.replay import _chance
from perdure.replay._driver import Driver
from perdure.replay._ledger import Ledger
from perdure.replay._lines import EventLines
from perdure.replay._tasks import (
    GATHERING_BIRTH,
    GatheringFuture,
    ReplayFuture,
    ReplayHandle,
    ReplayTimerHandle,
    running_loop,
)
from perdure.replay._work import Restore, WorkFuture

if TYPE_CHECKING:
    import asyncio
    import contextvars
    from collections.abc import Callable, Coroutine, Sequence
    from types import FrameType

    from perdure.replay._call import Call
    from perdure.replay._retry import Handler
    from perdure.replay._values import Info

__all__ = ["ReplayLoop", "current_loop"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")
F = TypeVar("F", bound=ReplayFuture[Any])
C = TypeVar("C", bound=Command)
D = TypeVar("D", bound=DECISIONS)

_HASH_STEP: Final = 0x1E37_79B9_7F4A_7C15
_HASH_MASK: Final = (1 << 61) - 1


def current_loop() -> ReplayLoop | None:
    """Find the orchestration's loop that this code runs on; None outside of orchestrations."""
    loop = running_loop()
    return loop if type(loop) is ReplayLoop else None


class ReplayLoop(Driver):
    """The event loop of one execution.

    Attributes:
        ledger: The commands of the execution.
        open: What is started and not settled, by seq: work and timers.
        lines: Who waits for events.
        seed: Recorded seed of the instance.
        calls_unstarted: Calls that were made and not awaited yet, by hash.
    """

    def __init__(self, info: Info) -> None:
        super().__init__(info)
        self.ledger = Ledger(info.instance_id)
        self.open: dict[int, WorkFuture[Any] | ReplayTimerHandle] = {}
        self.lines = EventLines()
        self.seed = 0
        self.calls_unstarted: dict[int, Call[Any]] = {}
        self._now = 0.0
        self._order = 0
        self._id_count = 0
        self._rng: _chance.Random | None = None
        self._is_birth_expected = False

    # ---- for Execution -------------------------------------------------------------------------------------------

    def begin_turn(self, now: float, recorded: Sequence[DECISIONS] | None) -> None:
        """Set the orchestration clock, and say what is recorded of the turn (None: it is a new one).

        Raises:
            TurnDoomed: Time would go back (R14).
        """
        if now < self._now:
            raise self.doom("input", f"the turn begins at {now}, before the one before it at {self._now}.")
        self._now = now
        self.ledger.begin(recorded)

    def end_turn(self) -> tuple[Command, ...]:
        """Give the commands of a new turn, in order.

        Raises:
            TurnDoomed: Something dooms it.
            NotDeterministic: The record of the turn holds more.
        """
        self.raise_doom()
        return self.ledger.end(self.main_line)

    def begin(self, info: Info, seed: int) -> None:
        """Take what the first input tells."""
        self.info = info
        self.seed = seed
        self._order = _chance.hash_salt(seed, info.execution) & _HASH_MASK

    def start_main(self, coroutine: Coroutine[Any, Any, object], context: contextvars.Context) -> None:
        """Start the orchestration's own coroutine."""
        self.main = self.tasks.make(self, coroutine, None, context, {})
        self.main.add_done_callback(self._note_main_done, context=context)

    def _note_main_done(self, _main: object) -> None:
        self.attention = True

    def end(self) -> None:
        super().end()
        self.open.clear()

    # ---- commands ------------------------------------------------------------------------------------------------

    def give(self, asked: C, kind: type[D], *, is_target_derived: bool = False) -> C | D:
        """Record a command, or in replay compare it; see `Ledger.give`."""
        self._handles = 0
        try:
            return self.ledger.give(asked, kind, is_target_derived=is_target_derived)
        except NotDeterministic as error:
            raise self.doom_by(error) from None

    def start_task(
        self,
        *,
        name: str,
        input: bytes,
        decode: Callable[[bytes], R],
        queue: str,
        timeout: float,
        retry: RetryRules | None,
        handler: Handler | None,
        restore: Restore,
    ) -> asyncio.Future[R]:
        """Ask for an activity.

        Args:
            name: Registered name.
            input: Its encoded arguments.
            decode: Decodes the result; what it raises is raised where the code awaits.
            queue: Queue of tasks that its workers serve.
            timeout: Seconds from start to close of one attempt; 0 means none.
            retry: Whether and when a failed attempt is followed by another.
            handler: The user's own say about that.
            restore: Makes the exception to raise from the last failure.

        Returns:
            The outcome over all attempts. Once the outcome of the execution is decided: a future that never completes.
        """
        if self.is_over():
            return self.create_future()
        future: WorkFuture[R] = self.adopt(WorkFuture)  # pyright: ignore[reportUnknownVariableType]
        future.start(self, input, decode, handler, restore)
        future.ask_task(name, queue, timeout, retry, 1)
        return future

    def start_child(  # noqa: PLR0913 - one call, all by keyword
        self,
        *,
        name: str,
        instance_id: str | None,
        version: str | None,
        input: bytes,
        decode: Callable[[bytes], R],
        queue: str,
        retry: RetryRules | None,
        handler: Handler | None,
        restore: Restore,
    ) -> asyncio.Future[R]:
        """Ask for a sub-orchestration.

        Args:
            name: Registered name.
            instance_id: Its id; None derives one from the parent's, for each attempt another.
            version: Its version; None takes the newest that the worker knows.
            input: Its encoded input.
            decode: As for `start_task`; so are `retry`, `handler` and `restore`.
            queue: Queue of turns that its workers serve.
            retry: As above.
            handler: As above.
            restore: As above; it is also given the instance id of the last attempt.

        Returns:
            As `start_task`.

        Raises:
            Misuse: The instance id is not one. Fix the call.
        """
        if instance_id is not None:
            check_instance_id(instance_id)
        if self.is_over():
            return self.create_future()
        future: WorkFuture[R] = self.adopt(WorkFuture)  # pyright: ignore[reportUnknownVariableType]
        future.start(self, input, decode, handler, restore)
        future.child_id = instance_id
        future.ask_child(name, version, queue, retry, 1)
        return future

    def wait_for_event(self, name: str, decode: Callable[[bytes], R]) -> asyncio.Future[R]:
        """Wait for an external event of this exact name; an unread one is taken at once, oldest first."""
        return self.lines.wait(self, name, decode)

    # ---- what code asks instead of the world ---------------------------------------------------------------------

    @property
    def is_replaying(self) -> bool:
        """Whether the code runs through a turn that is already recorded."""
        return self.ledger.is_replaying

    def now(self) -> float:
        """Recorded time of the turn, in seconds since the epoch."""
        return self._now

    def time(self) -> float:
        return self._now

    def random_id_bytes(self) -> bytes:
        """Derive the next 16 bytes for a uuid4."""
        self._id_count += 1
        return _chance.derive_bytes("id", self.seed, self.info.execution, self._id_count, length=16)

    def rng(self) -> _chance.Random:
        """Give the generator of this execution: one, seeded from the record."""
        if self._rng is None:
            self._rng = _chance.generator(self.seed, self.info.execution)
        return self._rng

    # ---- asyncio: callbacks and timers -----------------------------------------------------------------------------

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> ReplayHandle:
        if running_loop() is not self:
            self._refuse_foreign(callback, args)
        handle = ReplayHandle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> ReplayHandle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> ReplayTimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> ReplayTimerHandle:
        if math.isnan(when):
            raise Misuse("A timer was set to nan seconds. Give a number; infinity is a timer that never fires.")
        if when == math.inf or self.is_over():
            return ReplayTimerHandle(0, when, callback, args, self, context)
        seq = self.ledger.next_seq()
        fire_at = self.give(SetTimer(seq, when), TimerCreated).fire_at
        handle = ReplayTimerHandle(seq, fire_at, callback, args, self, context)
        self.open[seq] = handle
        return handle

    def cancel_timer(self, handle: ReplayTimerHandle) -> None:
        """Forget a timer, unless it has fired."""
        if self.open.pop(handle.seq, None) is not None and not self.is_over():
            self.give(CancelTimer(handle.seq), TimerCanceled)

    def fire(self, handle: ReplayTimerHandle) -> None:
        """Run a timer's callback next."""
        self._ready.append(handle)

    def _refuse_foreign(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        """A callback from outside: another instance, another thread, or a finalizer."""
        other = current_loop()
        who = f"the orchestration {other.info.instance_id}" if other else "code outside of orchestrations"
        message = (
            f"{who} woke this orchestration, at {self.asking_line()}, through an asyncio object that both hold (a "
            f"module-level Lock, Event, Queue, Future or task?): {args[0] if args else callback!r:.300}. It is not "
            "recorded. Make such objects inside the orchestration; send a perdure Event from one instance to another."
        )
        if other is not None:
            other.doom_not_deterministic(message)
        raise self.doom_not_deterministic(message)

    # ---- asyncio: tasks and futures ------------------------------------------------------------------------------

    def create_future(self) -> ReplayFuture[Any]:
        return self.adopt(ReplayFuture)  # pyright: ignore[reportUnknownVariableType]

    def adopt(self, kind: type[F]) -> F:
        """Make a future of one of our kinds, with the next hash."""
        self._is_birth_expected = True
        future = kind(loop=self)
        future.order = self._order = (self._order + _HASH_STEP) & _HASH_MASK
        return future

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        if not options.get("eager_start", True):
            del options["eager_start"]
        arranged = self.tasks.arranged(self, coro)
        return arranged if arranged is not None else self.tasks.make(self, coro, name, context, options)

    def next_order(self) -> int:
        """Give the hash of the next task or call."""
        self._order = (self._order + _HASH_STEP) & _HASH_MASK
        return self._order

    def expect_birth(self) -> None:
        """Announce that the next future that is made is one of ours."""
        self._is_birth_expected = True

    def get_task_factory(self) -> None:
        return None

    def get_debug(self) -> bool:
        """Never in debug mode. Every future asks this while it is made: see "Known ugliness" above."""
        if self._is_birth_expected:
            self._is_birth_expected = False
        else:
            self._meet_foreign_future(sys._getframe(1))  # noqa: SLF001
        return False

    def _meet_foreign_future(self, maker: FrameType) -> None:
        if maker.f_code is GATHERING_BIRTH:
            future = maker.f_locals["self"]
            future.__class__ = GatheringFuture
            future.order = self.next_order()
        elif "get_debug" not in maker.f_code.co_names:  # somebody who really asks for the debug mode names it
            raise self.doom_not_deterministic(
                f"asyncio.Future() or asyncio.Task() was made directly, at {self.asking_line()}: its place in a set "
                "depends on its address. Use asyncio.get_running_loop().create_future(), or asyncio.create_task()."
            )

    # ---- asyncio: state and errors -------------------------------------------------------------------------------

    def is_running(self) -> bool:
        return self._outside is not None

    def is_closed(self) -> bool:
        return self.is_ended

    def get_exception_handler(self) -> None:
        return None
