"""What a turn decides: runs the code of an instance where it stands, or says why it cannot run.

Replays the history first where this worker does not have the code live. Never commits anything.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

from perdure import events
from perdure.engine import InstanceState, recorded
from perdure.errors import Failure, Misuse, NotDeterministic
from perdure.failures import capture
from perdure.ids import Key
from perdure.replay import Execution, TurnDoomed, TurnOverrun
from perdure.worker._fit import fitting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.authoring import Registry
    from perdure.hub import OpenHub
    from perdure.records import TurnRecord
    from perdure.replay import Program
    from perdure.worker._seats import Seat, Seats
    from perdure.worker._watchdog import Watchdog

__all__ = ["Decide", "Decisions", "unrecordable"]

REASON_CHARACTERS_MAX = 1000
PARENTS_REMEMBERED = 64
TURNS_AT_A_STRETCH = 32
"""Turns that are replayed before others get the event loop: leases have to be renewed during a long replay."""

Decisions = tuple[events.DECISIONS, ...]


class Decide:
    """Runs turns of one worker's orchestrations.

    Args:
        hub: Where.
        registry: What can be run.
        seats: Live executions.
        watchdog: Bounds every run of code.
        is_checking: Whether every turn is run a second time, from its history, and compared before it is committed.
    """

    def __init__(
        self, hub: OpenHub, registry: Registry, seats: Seats, watchdog: Watchdog, *, is_checking: bool
    ) -> None:
        self._hub = hub
        self._programs = {(one.name, one.version): one.program for one in registry.orchestrations()}
        self._seats = seats
        self._watchdog = watchdog
        self._is_checking = is_checking
        self._parents: OrderedDict[Key, InstanceState] = OrderedDict()

    async def __call__(self, seat: Seat, turn: events.TurnStarted, inputs: tuple[events.INPUTS, ...]) -> Decisions:
        """Run one turn.

        Args:
            seat: Its execution is moved along, or closed if the turn cannot be committed.
            turn: Clock and names of the turn.
            inputs: New ones; those that wait in the state are fed before them.

        Returns:
            What to record; a single TurnFailed if the code could not be run.
        """
        state = seat.state
        started = state.started
        assert started is not None
        if state.status == "Pending" and not await self._parent_agrees(started.parent):
            return (events.ExecutionCanceled("the parent no longer waits for it"),)
        program = self._programs.get((started.name, started.version))  # a running instance keeps its version
        if program is None:
            return (_unknown(started),)
        fed = await self._hub.inline(state.key, (*state.pending, *inputs))
        try:
            decisions = await self._run(seat, program, turn, fed)
        except (TurnDoomed, TurnOverrun, NotDeterministic) as problem:
            self._seats.close(seat)
            return (_failed(problem, state),)
        return self._within_limits(decisions)

    async def _run(
        self, seat: Seat, program: Program, turn: events.TurnStarted, fed: tuple[events.INPUTS, ...]
    ) -> Decisions:
        state = seat.state
        if seat.execution is None:
            seat.execution = self._begin(state, program)
            records, seat.records = seat.records, ()
            await self._replay(seat.execution, state.key, records)
        execution = seat.execution
        with self._watchdog.watch(execution):
            commands = execution.run(turn, fed)
        if execution.overrun_requested:
            raise TurnOverrun  # stopped in the very moment it was done: that code must not go on either
        decisions = recorded(commands)
        if self._is_checking:
            await self._run_again(state, program, turn, fed, decisions)
        return decisions

    @staticmethod
    def _begin(state: InstanceState, program: Program) -> Execution:
        return Execution(program, instance_id=state.key, incarnation=state.incarnation, execution=state.execution)

    async def _replay(self, execution: Execution, key: Key, records: Iterable[TurnRecord]) -> None:
        """Bring code to where the history stands."""
        waiting: list[events.INPUTS] = []
        for count, stored in enumerate(records, start=1):
            record = await self._hub.inline_record(key, stored)
            waiting.extend(record.inputs)
            if record.was_run:
                assert record.turn is not None
                with self._watchdog.watch(execution):
                    execution.replay(record.turn, waiting, record.decisions)
                waiting.clear()
            if count % TURNS_AT_A_STRETCH == 0:
                await asyncio.sleep(0)

    async def _run_again(
        self,
        state: InstanceState,
        program: Program,
        turn: events.TurnStarted,
        fed: tuple[events.INPUTS, ...],
        decisions: Decisions,
    ) -> None:
        """Replay the whole history and this turn in a new execution: what differs would differ after the next crash.

        Raises:
            NotDeterministic: It differs. The turn must not be committed.
        """
        loaded = await self._hub.load(state.key)
        if loaded.state is None or loaded.state.version != state.version:
            return  # another worker went on: this turn will not be committed anyhow
        again = self._begin(state, program)
        try:
            await self._replay(again, state.key, loaded.records)
            with self._watchdog.watch(again):
                again.replay(turn, fed, decisions)
        except NotDeterministic as problem:
            raise NotDeterministic(f"run a second time, the turn went another way: {problem}") from problem
        finally:
            self._seats.close_execution(again)

    def _within_limits(self, decisions: Decisions) -> Decisions:
        """Refuse payloads that no hub of this kind could keep: a failed instance tells more than a stuck one."""
        limit = self._hub.store.capabilities.payload_bytes_max
        for decision in decisions:
            payload = events.payload_of(decision)
            if isinstance(payload, bytes) and len(payload) > limit:
                what = f"{type(decision).__name__} {getattr(decision, 'name', '')}".strip()
                problem = Misuse(
                    f"{what} has a payload of {len(payload):,} bytes, this hub keeps {limit:,}: store the data "
                    "elsewhere and pass a reference."
                )
                return (events.ExecutionFailed(capture(problem)),)
        return tuple([self._told(decision) for decision in decisions])

    def _told(self, decision: events.DECISIONS) -> events.DECISIONS:
        """See to it that a failure can be told to the parent."""
        if not isinstance(decision, events.ExecutionFailed):
            return decision
        return events.ExecutionFailed(fitting(decision.failure, self._hub.inline_bytes_max))

    async def _parent_agrees(self, parent: events.Parent | None) -> bool:
        """Ask before the first turn of a sub-orchestration whether its parent still waits for it (R10).

        A remembered state may say yes; only the store may say no (R3).
        """
        if parent is None:
            return True
        key = Key(parent.instance_id)
        seat = self._seats.find(key)
        for known in (seat.state if seat is not None else None, self._parents.get(key)):
            if known is not None and _waits_for(known, parent):
                return True
        loaded = await self._hub.load(key)
        if loaded.state is None:
            return False
        self._parents[key] = loaded.state
        if len(self._parents) > PARENTS_REMEMBERED:
            self._parents.popitem(last=False)
        return _waits_for(loaded.state, parent)


def _waits_for(state: InstanceState, parent: events.Parent) -> bool:
    same = state.incarnation == parent.incarnation and state.execution == parent.execution
    return same and parent.seq in state.children


def _unknown(started: events.ExecutionStarted) -> events.TurnFailed:
    version = f" version {started.version!r}" if started.version is not None else ""
    reason = f"waits for a worker that knows orchestration {started.name!r}{version}"
    return events.TurnFailed(Failure("perdure.UnknownOrchestration", reason), reason)


def _failed(problem: BaseException, state: InstanceState) -> events.TurnFailed:
    cause = problem.cause if isinstance(problem, TurnDoomed) else problem
    reason = f"{problem.reason}: {cause}" if isinstance(problem, TurnDoomed) else str(problem)
    if state.python_minor not in {0, sys.version_info.minor}:
        reason += (
            f" (It began on Python 3.{state.python_minor} and this worker runs 3.{sys.version_info.minor}, where "
            "asyncio may order callbacks differently: let a worker of the old version finish it.)"
        )
    return events.TurnFailed(capture(cause), reason[:REASON_CHARACTERS_MAX])


def unrecordable(problem: Misuse) -> events.TurnFailed:
    """Say that what the code decided is over a limit of the hub."""
    reason = f"what the turn decided cannot be recorded: {problem}"
    return events.TurnFailed(capture(problem), reason[:REASON_CHARACTERS_MAX])
