"""One live execution of an orchestration: inputs in, commands out, turn by turn."""

from __future__ import annotations

import contextvars
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from perdure import failures
from perdure.commands import Command, Complete, Fail
from perdure.errors import Misuse, NotDeterministic
from perdure.events import DECISIONS, INPUTS, ExecutionCompleted, ExecutionFailed, ExecutionStarted, TurnStarted
from perdure.replay._close import close_all
from perdure.replay._inputs import feed, inline
from perdure.replay._loop import ReplayLoop
from perdure.replay._values import Info, Program, TurnDoomed, TurnOverrun, Unhandled, Unstarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.replay._tasks import ReplayTask

__all__ = ["Execution"]


class Execution:
    """Owns the loop and the coroutines of one execution. Whoever makes one calls `close` in the end.

    After a turn was doomed, or an error came out of it, the execution cannot go on: make a new one and replay.
    """

    def __init__(self, program: Program, *, instance_id: str, incarnation: str, execution: int = 0) -> None:
        self._program = program
        self._loop = ReplayLoop(Info(instance_id, incarnation, execution, program.name, program.version))
        self._is_broken = False
        self.is_closed = False
        """Whether Complete or Fail was decided."""
        self.unstarted: tuple[Unstarted, ...] = ()
        """Once the outcome is decided: calls that were made and never awaited."""
        self.survivors: list[object] = []
        """What would not be closed: never let it be collected."""

    @property
    def info(self) -> Info:
        """Facts about the execution."""
        return self._loop.info

    @property
    def warnings(self) -> tuple[str, ...]:
        """Differences from the record that are allowed: calls that are made with another input now."""
        return tuple(self._loop.ledger.warnings)

    @property
    def unhandled(self) -> tuple[Unhandled, ...]:
        """Errors that no code of the orchestration looked at."""
        return tuple(
            Unhandled(message, None if error is None else failures.capture(error))
            for message, error in self._loop.unhandled
        )

    @property
    def overrun_requested(self) -> bool:
        """What the watchdog sets before it throws `TurnOverrun` into the thread."""
        return self._loop.overrun_requested

    @overrun_requested.setter
    def overrun_requested(self, requested: bool) -> None:
        self._loop.overrun_requested = requested
        self._loop.attention = requested

    def replay(self, turn: TurnStarted, inputs: Sequence[INPUTS], decisions: Sequence[DECISIONS]) -> None:
        """Run the code through a recorded turn.

        Args:
            turn: How it began.
            inputs: What it consumed, in the order of the record, payloads inline. Turns that only recorded
                `TurnFailed` ran no code: their inputs belong before those of the next turn that did.
            decisions: What it decided, in the order of the record.

        Raises:
            NotDeterministic: The code does not do what the record says. Let the instance stall.
            TurnDoomed: It cannot be run here and now. Let the instance stall.
        """
        try:
            self._turn(turn, inputs, decisions)
        except TurnDoomed as doomed:
            if not isinstance(doomed.cause, NotDeterministic):
                raise
            error = doomed.cause
        else:
            return
        raise error  # out here, so that it is not its own context

    def run(self, turn: TurnStarted, inputs: Sequence[INPUTS]) -> tuple[Command, ...]:
        """Run a new turn.

        Args:
            turn: Its time: not before that of the turn before.
            inputs: What it consumes, payloads inline; timers that fire first (R19).

        Returns:
            What the code asks for, in order. Nothing has happened yet.

        Raises:
            TurnDoomed: The turn must not be committed; `reason` and `cause` tell why.
        """
        return self._turn(turn, inputs, None)

    def close(self) -> int:
        """Take the execution down: its coroutines are closed, their `finally` runs, nothing they ask for counts.

        Returns:
            How many would not be closed in ten tries; they are in `survivors`, to be kept for ever.
        """
        self._is_broken = True
        self.survivors.extend(close_all(self._loop))
        return len(self.survivors)

    def waiting_for(self) -> tuple[str, ...]:
        """Say what the code waits for, for people, in the order of asking: work, timers, then events."""
        loop = self._loop
        asked = [loop.open[seq].describe() for seq in sorted(loop.open)]
        return (*asked, *(f"event {name}" for name in loop.lines.names()))

    def _turn(
        self, turn: TurnStarted, inputs: Sequence[INPUTS], recorded: Sequence[DECISIONS] | None
    ) -> tuple[Command, ...]:
        loop = self._loop
        if self._is_broken:
            raise TurnDoomed(f"{loop.info.instance_id}: this execution broke or was closed before.", reason="input")
        self._is_broken = True  # until the turn has ended well
        try:
            commands = self._step(turn, inputs, recorded)
        except BaseException as error:
            loop.leave()  # again: an overrun may have been thrown into the first time; it is thrown once
            verdict = self._verdict(error)
            if verdict is error:
                raise
            raise verdict from error
        self._is_broken = False
        return commands

    def _verdict(self, error: BaseException) -> BaseException:
        """Say what comes of a turn that an error came out of: doomed, or the error itself."""
        loop = self._loop
        if isinstance(error, TurnDoomed | KeyboardInterrupt | SystemExit):
            return error
        if loop.overrun_requested or isinstance(error, TurnOverrun):
            return loop.overrun()
        return loop.doomed or loop.doom_if_fatal(error) or error

    def _step(
        self, turn: TurnStarted, inputs: Sequence[INPUTS], recorded: Sequence[DECISIONS] | None
    ) -> tuple[Command, ...]:
        loop = self._loop
        loop.begin_turn(turn.now, recorded)
        loop.enter()
        try:
            for given in inputs:
                self._take(given)
        finally:
            loop.leave()
        if loop.main is not None and not self.is_closed and not loop.open and not loop.lines.names():
            raise loop.doom("deadlock", _DEADLOCK.format(where=loop.main_line()))
        return loop.end_turn()

    def _take(self, given: INPUTS) -> None:
        """Feed one input and run until nothing moves, so that how inputs are batched changes nothing."""
        loop = self._loop
        if self.is_closed:
            return  # late: the outcome is decided
        if isinstance(given, ExecutionStarted):
            self._start(given)
        else:
            feed(loop, given)
        loop.run_until_blocked()
        if loop.main is not None and loop.main.done() and not self.is_closed:
            self._conclude(loop.main)
            loop.run_until_blocked()

    def _start(self, started: ExecutionStarted) -> None:
        loop, info = self._loop, self._loop.info
        if loop.main is not None:
            raise loop.doom("input", "ExecutionStarted came a second time.")
        tags = MappingProxyType(dict(started.tags))
        loop.begin(replace(info, tags=tags, parent=started.parent), started.seed)
        context = contextvars.Context()
        try:
            coroutine = context.run(self._program.start, inline(loop, started.input))
        except Misuse as problem:
            # It did fit when the instance was started: the code was changed, and other code can mend it.
            raise loop.doom("input", str(problem), problem) from problem
        except Exception as error:  # noqa: BLE001 - recorded as the outcome, unless it dooms the turn
            self._fail(error, is_final=True)
        else:
            loop.start_main(coroutine, context)

    def _conclude(self, main: ReplayTask[object]) -> None:
        """Decide the outcome, now that the main coroutine is done."""
        try:
            result = main.result()
        except BaseException as error:  # noqa: BLE001 - recorded as the outcome, unless it dooms the turn
            self._fail(error)
            return
        try:
            payload = self._program.encode_result(result)
        except Exception as error:  # noqa: BLE001 - recorded as the outcome, unless it dooms the turn
            self._fail(error, is_final=True)
        else:
            self._end(Complete(payload), ExecutionCompleted)

    def _fail(self, error: BaseException, *, is_final: bool = False) -> None:
        doomed = self._loop.doom_if_fatal(error)
        if doomed is not None:
            raise doomed
        failure = failures.capture(error)
        if is_final:
            failure = msgspec.structs.replace(failure, retryable=False)
        self._end(Fail(failure), ExecutionFailed)

    def _end(self, outcome: Complete | Fail, kind: type[ExecutionCompleted | ExecutionFailed]) -> None:
        loop = self._loop
        loop.give(outcome, kind)
        self.is_closed = True
        self.unstarted = tuple(call.describe_unstarted() for call in loop.calls_unstarted.values())
        loop.end()


_DEADLOCK = (
    "The code waits at {where} for something that nothing can bring: no activity, timer, sub-orchestration or event "
    "is open. Complete the future, set the asyncio.Event or release the lock from another task of this orchestration; "
    "to wait for something outside, await a perdure Event. A lock that an async generator holds is released when the "
    "generator ends: put contextlib.aclosing() around one that may be left early."
)
