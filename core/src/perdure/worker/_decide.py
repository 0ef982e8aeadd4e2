"""What a turn decides: runs the code of an instance where it stands, or says why it cannot run.

Replays the history first where this worker does not have the code live. Never commits anything.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

from perdure import events
from perdure.engine import POISONED, InstanceState, recorded
from perdure.errors import Failure, Misuse, NotDeterministic
from perdure.failures import capture
from perdure.ids import Key
from perdure.replay import Execution, TurnDoomed, TurnOverrun

if TYPE_CHECKING:
    from perdure.authoring import Registry
    from perdure.hub import OpenHub
    from perdure.replay import Program
    from perdure.worker._seats import Seat, Seats
    from perdure.worker._watchdog import Watchdog

__all__ = ["Decide", "Decisions", "poisoned"]

REASON_CHARACTERS_MAX = 1000
PARENTS_REMEMBERED = 64

Decisions = tuple[events.DECISIONS, ...]


class Decide:
    """Runs turns of one worker's orchestrations."""

    def __init__(self, hub: OpenHub, registry: Registry, seats: Seats, watchdog: Watchdog) -> None:
        self._hub = hub
        self._programs = {(one.name, one.version): one.program for one in registry.orchestrations()}
        self._seats = seats
        self._watchdog = watchdog
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
            execution = seat.execution or await self._replay(seat, program)
            with self._watchdog.watch(execution):
                commands = execution.run(turn, fed)
        except (TurnDoomed, TurnOverrun, NotDeterministic) as problem:
            self._seats.close(seat)
            return (_failed(problem, state),)
        return self._within_limits(recorded(commands))

    async def _replay(self, seat: Seat, program: Program) -> Execution:
        """Bring code to where the history stands."""
        state = seat.state
        execution = Execution(program, instance_id=state.key, incarnation=state.incarnation, execution=state.execution)
        seat.execution = execution
        waiting: list[events.INPUTS] = []
        for stored in seat.records:
            record = await self._hub.inline_record(state.key, stored)
            waiting.extend(record.inputs)
            if record.was_run:
                assert record.turn is not None
                with self._watchdog.watch(execution):
                    execution.replay(record.turn, waiting, record.decisions)
                waiting.clear()
        seat.records = ()
        return execution

    def _within_limits(self, decisions: Decisions) -> Decisions:
        """Refuse payloads that no hub of this kind could keep: a failed instance tells more than a stuck one."""
        limit = self._hub.store.capabilities.payload_bytes_max
        for decision in decisions:
            payload = getattr(decision, "input", b"") or getattr(decision, "result", b"")
            if len(payload) > limit:
                what = f"{type(decision).__name__} {getattr(decision, 'name', '')}".strip()
                problem = Misuse(
                    f"{what} has a payload of {len(payload):,} bytes, this hub keeps {limit:,}: store the data "
                    "elsewhere and pass a reference."
                )
                return (events.ExecutionFailed(capture(problem)),)
        return decisions

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


def poisoned(lost_count: int) -> events.TurnFailed:
    """Say that an instance takes its process down (R15)."""
    reason = f"poisoned: the process died {lost_count} times while it ran nothing but this instance"
    return events.TurnFailed(Failure(POISONED, reason), reason)
