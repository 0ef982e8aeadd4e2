"""What must hold of one history, whatever crashed while it was written. Pure: records in, findings out.

Nothing here trusts `engine`: an oracle that shared the worker's idea of a state would share its mistakes. The letters
are those of the protocol; `ORACLES` says each in a sentence. What only shows between instances is in `_oracles_hub`.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from perdure import events
from perdure.engine import recorded
from perdure.errors import Failure, NotDeterministic
from perdure.replay import Execution, Program, TurnDoomed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perdure.records import TurnRecord

__all__ = ["ANSWERS", "ASKS", "CLOSING", "ORACLES", "Finding", "check_history", "check_replay"]

ORACLES: Final = {
    "H2": "versions grow by one after the first",
    "H5": "every record can be read",
    "H8": "the stored summary says what the records say",
    "L1": "whatever was asked for is on its way or there",
    "L2": "every open activity has a message, or its outcome has",
    "L3": "every event whose sending returned is recorded, on its way, or came after the end",
    "L4": "every parent learns how its sub-orchestrations ended",
    "Q7": "no message of an open instance lies among the dead letters",
    "R1": "every instance whose start returned exists, or was purged",
    "R4": "every turn id is used once",
    "R16": "every reference to a payload leads to what was written",
    "S1": "all records are of one incarnation, which begins with ExecutionStarted, once",
    "S3": "nothing has an effect that no record asked for",
    "S3b": "every outcome answers a command of its kind that is open",
    "S4": "every input is consumed once",
    "S6": "nothing follows the closing decision",
    "S8": "the clock never goes back, and no timer fires early",
    "effects": "whatever is recorded as done was done",
    "replay": "the code, given the recorded inputs, decides what was recorded",
    "stalled": "no instance is stalled",
}
"""What each code of a finding stands for."""

ANSWERS: Final[dict[type[events.HistoryEvent], type[events.HistoryEvent]]] = {
    events.TaskCompleted: events.TaskScheduled,
    events.TaskFailed: events.TaskScheduled,
    events.SubOrchestrationCompleted: events.SubOrchestrationCreated,
    events.SubOrchestrationFailed: events.SubOrchestrationCreated,
    events.TimerFired: events.TimerCreated,
}
"""Which command each kind of outcome answers."""

ASKS = events.TaskScheduled | events.SubOrchestrationCreated | events.TimerCreated
CLOSING = events.ExecutionCompleted | events.ExecutionFailed | events.ExecutionCanceled

_CANCELS = events.TaskCancelRequested | events.TimerCanceled

_graveyard: list[Execution] = []
"""Code that would not be closed: kept, so that no finalizer runs it later."""


class Finding(msgspec.Struct, frozen=True):
    """Something that must not be.

    Attributes:
        code: Which oracle found it: a key of `ORACLES`.
        instance: Instance id; empty if it belongs to none.
        text: What is wrong, with the records' versions.
    """

    code: str
    instance: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.instance!r}: {self.text}"


def check_history(key: str, records: Sequence[TurnRecord]) -> list[Finding]:
    """Look for what no sequence of crashes may leave in one history.

    Args:
        key: Instance id.
        records: All of one incarnation, in the order of the store; at least one.

    Returns:
        What is wrong; empty if nothing is.
    """
    checks = (_check_order, _check_beginning, _check_answers, _check_clock, _check_end)
    return [Finding(code, key, text) for check in checks for code, text in check(records)]


def _check_order(records: Sequence[TurnRecord]) -> Iterator[tuple[str, str]]:
    for before, record in pairwise(records):
        if record.version != before.version + 1:
            yield "H2", f"record {record.version} follows record {before.version}"
        if record.incarnation != before.incarnation or record.execution < before.execution:
            yield "S1", f"record {record.version} is of {_identity(record)}, the one before of {_identity(before)}"
    for turn_id, count in Counter(record.turn_id for record in records).items():
        if count > 1:
            yield "R4", f"{count} records have the turn id {turn_id}"


def _identity(record: TurnRecord) -> str:
    return f"{record.incarnation}/{record.execution}"


def _check_beginning(records: Sequence[TurnRecord]) -> Iterator[tuple[str, str]]:
    begins = [(r.version, i) for r in records for i, e in enumerate(r.inputs) if isinstance(e, events.ExecutionStarted)]
    if begins != [(records[0].version, 0)]:
        yield "S1", f"ExecutionStarted must be the first input and come once, it is in {begins}"


def _check_answers(records: Sequence[TurnRecord]) -> Iterator[tuple[str, str]]:
    answers = _Answers()
    for record in records:
        for given in record.inputs:
            problem = answers.take(given)
            if problem is not None:
                code, text = problem
                yield code, f"record {record.version}: {text}"
        for text in answers.ask(record.decisions):
            yield "S3b", f"record {record.version}: {text}"


class _Answers:
    """Which commands are open, and what was consumed, as far as the records were walked."""

    def __init__(self) -> None:
        self._open: dict[int, events.HistoryEvent] = {}
        self._asked: set[int] = set()
        self._answered: set[int] = set()
        self._raised: set[str] = set()

    def take(self, given: events.INPUTS) -> tuple[str, str] | None:
        """Judge one input."""
        match given:
            case events.ExecutionStarted():
                return None
            case events.EventRaised(message_id=message_id):
                known = message_id in self._raised
                self._raised.add(message_id)
                return ("S4", f"event {message_id} is consumed a second time") if known else None
            case _:
                return self._take_outcome(given)

    def _take_outcome(
        self,
        given: events.TaskCompleted
        | events.TaskFailed
        | events.SubOrchestrationCompleted
        | events.SubOrchestrationFailed
        | events.TimerFired,
    ) -> tuple[str, str] | None:
        what = f"{type(given).__name__} {given.seq}"
        if given.seq in self._answered:
            return "S4", f"{what} is the second answer"
        asked = self._open.pop(given.seq, None)
        self._answered.add(given.seq)
        if asked is None:
            return "S3b", f"{what} answers what was cancelled or never asked for"
        if type(asked) is not ANSWERS[type(given)]:
            return "S3b", f"{what} answers a {type(asked).__name__}"
        return None

    def ask(self, decisions: Iterable[events.DECISIONS]) -> Iterator[str]:
        """Take in what a turn asked for; tell what it may not ask."""
        for decision in decisions:
            if isinstance(decision, ASKS):
                if decision.seq in self._asked:
                    yield f"seq {decision.seq} is asked for a second time"
                self._asked.add(decision.seq)
                self._open[decision.seq] = decision
            elif isinstance(decision, _CANCELS):
                if decision.seq not in self._asked:
                    yield f"{type(decision).__name__} {decision.seq} cancels what was never asked for"
                self._open.pop(decision.seq, None)


def _check_clock(records: Sequence[TurnRecord]) -> Iterator[tuple[str, str]]:
    now = 0.0
    due: dict[int, float] = {}
    for record in records:
        moment = _moment(record)
        if moment < now and record.turn is not None:
            yield "S8", f"record {record.version} is at {moment}, {now - moment:g} s before the one before"
        now = max(now, moment)
        for given in record.inputs:
            if isinstance(given, events.TimerFired) and due.get(given.seq, 0.0) > now:
                yield "S8", f"record {record.version}: timer {given.seq} fires {due[given.seq] - now:g} s early"
        due |= {d.seq: d.fire_at for d in record.decisions if isinstance(d, events.TimerCreated)}


def _moment(record: TurnRecord) -> float:
    if record.turn is not None:
        return record.turn.now
    started = [given.created_at for given in record.inputs if isinstance(given, events.ExecutionStarted)]
    return started[0] if started else 0.0


def _check_end(records: Sequence[TurnRecord]) -> Iterator[tuple[str, str]]:
    closed = 0
    for record in records:
        if closed:
            yield "S6", f"record {record.version} follows record {closed}, which closed the instance"
        closing = [index for index, decision in enumerate(record.decisions) if isinstance(decision, CLOSING)]
        if closing:
            closed = closed or record.version
            if closing != [len(record.decisions) - 1]:
                yield "S6", f"record {record.version} decides more after its closing decision"


def check_replay(key: str, records: Sequence[TurnRecord], program: Program, *, exact: bool) -> list[Finding]:
    """Run the code through its history: it must decide again what was recorded.

    Args:
        key: Instance id.
        records: As for `check_history`, payloads in line.
        program: The code that ran, or a version of it that running instances go on with.
        exact: Whether inputs, options, results and times must be equal too, diagnostics of failures aside. For tests,
            where the code has not changed since.
    """
    first = records[0]
    execution = Execution(program, instance_id=key, incarnation=first.incarnation, execution=first.execution)
    try:
        return [Finding("replay", key, text) for text in _differences(execution, records, exact=exact)]
    finally:
        if execution.close():
            _graveyard.append(execution)


def _differences(execution: Execution, records: Sequence[TurnRecord], *, exact: bool) -> Iterator[str]:
    """Yield the first difference; what comes after it would only follow from it."""
    waiting: list[events.INPUTS] = []
    for record in records:
        waiting.extend(record.inputs)
        if record.turn is None or not record.was_run or not _is_of_code(record):
            continue
        try:
            if exact:
                decided = recorded(execution.run(record.turn, waiting))
                if _plain(decided) != _plain(record.decisions):
                    yield f"record {record.version} decides {record.decisions}, the code now {decided}"
                    return
            else:
                execution.replay(record.turn, waiting, record.decisions)
        except (NotDeterministic, TurnDoomed) as problem:
            yield f"record {record.version}: {problem}"
            return
        waiting.clear()


def _is_of_code(record: TurnRecord) -> bool:
    """Tell whether code decided: a sub-orchestration that nobody waits for is canceled without running it (R10)."""
    return not any(isinstance(decision, events.ExecutionCanceled) for decision in record.decisions)


def _plain(decisions: Iterable[events.DECISIONS]) -> list[events.DECISIONS]:
    return [_without_diagnostics(decision) for decision in decisions]


def _without_diagnostics(decision: events.DECISIONS) -> events.DECISIONS:
    if isinstance(decision, events.ExecutionFailed):
        return events.ExecutionFailed(_without_traceback(decision.failure))
    return decision


def _without_traceback(failure: Failure) -> Failure:
    return msgspec.structs.replace(
        failure,
        traceback="",
        cause=failure.cause and _without_traceback(failure.cause),
        context=failure.context and _without_traceback(failure.context),
        members=tuple([_without_traceback(member) for member in failure.members]),
    )
