"""Stepping: who runs when, and what stops a turn. The half of the replay loop that asyncio's callers do not see."""

from __future__ import annotations

import sys
from collections import deque
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Final

from perdure.errors import NotDeterministic
from perdure.replay._fatal import fatal_reason
from perdure.replay._refused import RefusingLoop
from perdure.replay._tasks import Tasks, running_loop, set_running_loop
from perdure.replay._values import TurnDoomed
from perdure.replay._where import asking_line, suspended_line

__all__ = ["HANDLES_MAX", "Driver", "Generator"]

Generator = AsyncGeneratorType[Any, Any]

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from perdure.replay._tasks import ReplayHandle, ReplayTask, ReplayTimerHandle
    from perdure.replay._values import Info

HANDLES_MAX: Final = 100_000
"""Callbacks in a row without a new command or input before the turn is given up (R18)."""
UNHANDLED_MAX: Final = 100
GENERATORS_SWEPT_AT: Final = 64

_MENDS: Final = {
    "overrun": "The turn took too long and was stopped, around {where}. Move long computations and blocking calls "
    "into activities.",
    "recursion": "The code recursed too deeply, around {where}. How deep it may go depends on where it runs, so it is "
    "not recorded as an outcome: use a loop, or do it in an activity.",
    "memory": "Memory ran out, around {where}. It is not recorded as an outcome: the turn is run again elsewhere. "
    "Keep large data out of orchestrations: pass references between activities.",
    "interrupted": "The process was told to stop, around {where}. The turn is run again. If the code itself calls "
    "sys.exit(): return or raise instead.",
    "not_deterministic": "Two orchestrations share an asyncio object: {error} (around {where}). Make such "
    "objects inside the orchestration, and send perdure Events from one instance to another.",
}


class Driver(RefusingLoop):
    """Runs the callbacks of one execution, and remembers why its turn must not be committed.

    Attributes:
        info: What code may know about the execution.
        main: The task that runs the orchestration's coroutine, once it is started.
        tasks: All tasks.
        is_ended: The outcome is decided, or the execution is torn down: commands are ignored.
        overrun_requested: Set by the watchdog, then `attention`.
        attention: Something happened that `run_until_blocked` must stop for.
        doomed: Why the turn must not be committed, if it must not.
        unhandled: Errors that nobody looked at.
    """

    def __init__(self, info: Info) -> None:
        self.info = info
        self.main: ReplayTask[object] | None = None
        self.tasks = Tasks()
        self.is_ended = False
        self.overrun_requested = False
        self.attention = False
        self.doomed: TurnDoomed | None = None
        self.unhandled: list[tuple[str, BaseException | None]] = []
        self._ready: deque[ReplayHandle | ReplayTimerHandle] = deque()
        self._handles = 0
        self._generators: list[Generator] = []
        self._outside: tuple[Any, Any] | None = None

    def enter(self) -> None:
        """Become the running loop of this thread. `leave` follows, whatever happens."""
        self._outside = (running_loop(), sys.get_asyncgen_hooks())
        sys.set_asyncgen_hooks(firstiter=self._own_generator, finalizer=_drop_generator)
        set_running_loop(self)

    def leave(self) -> None:
        """Give the thread back to the loop that ran before. Doing it twice does no harm."""
        if self._outside is not None:
            loop, hooks = self._outside
            set_running_loop(loop)
            sys.set_asyncgen_hooks(*hooks)
            self._outside = None  # last: an overrun that is thrown in here leaves it to the second call

    def run_until_blocked(self) -> None:
        """Run everything that is ready, or until the main task is done.

        Raises:
            TurnDoomed: The turn must not be committed.
        """
        self._handles = 0
        ready = self._ready
        while ready:
            self._run_handle(ready.popleft())
            if self.attention:
                self.attention = False
                self.raise_doom()
                return
            self._handles += 1
            if self._handles > HANDLES_MAX:
                self._stop_spinning()

    def _run_handle(self, handle: ReplayHandle | ReplayTimerHandle) -> None:
        if handle._cancelled:  # noqa: SLF001
            return
        try:
            handle._context.run(handle._callback, *handle._args)  # noqa: SLF001
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - kept, as asyncio does; the worst of them doom the turn
            self.call_exception_handler({"message": f"a callback raised: {handle!r}", "exception": error})
        del handle  # the traceback of a task's error keeps this frame, and the handle keeps the task: a cycle

    def _stop_spinning(self) -> None:
        if self.is_over():
            self._ready.clear()  # the outcome stands; what is left was told to stop, and will be closed
            return
        raise self.doom(
            "overrun",
            f"The code ran {HANDLES_MAX:,} callbacks without starting or finishing anything, around "
            f"{self.main_line()}. It polls: wait on an asyncio.Event, a queue, a task or a perdure Event, not on "
            "sleep(0).",
        )

    def is_over(self) -> bool:
        """Tell whether commands count no more: ended, torn down, or it is not this loop's turn to run."""
        if self.is_ended or running_loop() is not self:
            return True
        return self.main is not None and self.main.done()

    def end(self) -> None:
        """Stop everything but the main task, which is done: cancel it once and ignore what it does from now on."""
        self.is_ended = True
        for task in self.tasks.live():
            task.cancel()

    def drop_ready(self) -> None:
        """Forget the callbacks that wait to run."""
        self._ready.clear()

    # ---- what dooms a turn ---------------------------------------------------------------------------------------

    def doom(self, reason: str, message: str, cause: BaseException | None = None) -> TurnDoomed:
        """Note that the turn must not be committed, and give the error to raise. The first reason stays."""
        return self._note(TurnDoomed(f"{self.info.instance_id}: {message}", reason=reason, cause=cause))

    def _note(self, doomed: TurnDoomed) -> TurnDoomed:
        if self.doomed is None and not self.is_ended:
            self.doomed = doomed
            self.attention = True
        return doomed

    def doom_not_deterministic(self, message: str) -> NotDeterministic:
        """Doom the turn, and give the error to raise where the code did it."""
        return self.doom_by(NotDeterministic(f"{self.info.instance_id}: {message}"))

    def doom_by(self, error: NotDeterministic) -> NotDeterministic:
        """Doom the turn by an error, and give it back."""
        self._note(TurnDoomed(str(error), reason="not_deterministic", cause=error))
        return error

    def doom_if_fatal(self, error: BaseException) -> TurnDoomed | None:
        """Doom the turn if the error is one that must never be recorded as an outcome."""
        found = fatal_reason(error)
        if found is None:
            return None
        reason, fatal = found
        if isinstance(fatal, NotDeterministic):
            return self._note(TurnDoomed(str(fatal), reason=reason, cause=fatal))
        message = _MENDS[reason].format(where=self.main_line(), error=fatal)
        if reason == "not_deterministic":
            wrapped = NotDeterministic(message)
            wrapped.__cause__ = fatal
            fatal = wrapped
        return self.doom(reason, message, fatal)

    def raise_doom(self) -> None:
        """Raise what dooms the turn, if anything does. An overrun comes first: it may have caused the rest."""
        if self.overrun_requested:
            raise self.overrun()
        if self.doomed is not None:
            raise self.doomed

    def overrun(self) -> TurnDoomed:
        """Make the error for a turn that the watchdog stopped."""
        message = _MENDS["overrun"].format(where=self.main_line())
        return TurnDoomed(f"{self.info.instance_id}: {message}", reason="overrun")

    def asking_line(self) -> str:
        """Find the line that asks; where only installed libraries run, also the line that the orchestration is at."""
        line, is_users = asking_line()
        return line if is_users else f"{line}, while the orchestration is at {self.main_line()}"

    def main_line(self) -> str:
        """Find where the main coroutine waits, for messages."""
        return suspended_line(self.main.get_coro()) if self.main is not None else "its start"

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep an error that nobody looks at; the worst of them doom the turn."""
        error: BaseException | None = context.get("exception")
        if error is not None:
            self.doom_if_fatal(error)
        # The error itself, taken apart when somebody asks: this may run inside the garbage collector.
        if len(self.unhandled) < UNHANDLED_MAX:
            self.unhandled.append((str(context.get("message", "")), error))

    # ---- async generators ------------------------------------------------------------------------------------------

    def _own_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        if len(self._generators) >= GENERATORS_SWEPT_AT:
            self._generators = [each for each in self._generators if each.ag_frame is not None]
        assert isinstance(generator, AsyncGeneratorType)  # the interpreter has no other kind
        self._generators.append(generator)

    def take_generators(self) -> list[Generator]:
        """Hand over the async generators that were begun and not run to their end, newest first."""
        taken, self._generators = self._generators, []
        return [each for each in reversed(taken) if each.ag_frame is not None]


def _drop_generator(_generator: AsyncGenerator[Any, Any]) -> None:
    """Let an async generator go without running its code: nothing would record it."""
