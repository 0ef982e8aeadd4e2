"""Histories by values: short ways to write events, messages and turns of one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure import codec, events
from perdure.engine import InstanceState, Plan, fold, plan_turn, retry_wake
from perdure.errors import Failure
from perdure.ids import Key
from perdure.messages import ChildEnded, Message, RaiseEvent, TaskEnded, TimerDue, Wake
from perdure.records import TurnRecord
from perdure.spi import Delivery, Envelope

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = Key("order-1")
INCARNATION = "first"
EPOCH = 1_700_000_000.0
BEGUN = int(EPOCH * 1000)
"""Version of the first record."""
INLINE_BYTES_MAX = 100

PARENT = events.Parent("the-parent", "parent-incarnation", 0, 7, "parents")
REASON = "waits for a worker that knows it"


def started(**fields: Any) -> events.ExecutionStarted:
    given: dict[str, Any] = {"name": "invoicing", "input": b"\xc0", "seed": 1, "created_at": EPOCH, "queue": "orders"}
    return events.ExecutionStarted(**(given | fields))


def creation_record(**fields: Any) -> TurnRecord:
    return TurnRecord(BEGUN, INCARNATION, INCARNATION, 0, None, (started(**fields),), ())


def turn_at(now: float, python_minor: int = 12) -> events.TurnStarted:
    return events.TurnStarted(now, "worker-1", "code-1", python_minor)


def task(seq: int, payload: bytes = b"\xc0", **fields: Any) -> events.TaskScheduled:
    return events.TaskScheduled(seq, "issue_invoice", payload, **fields)


def child(seq: int, payload: bytes = b"\xc0", **fields: Any) -> events.SubOrchestrationCreated:
    given: dict[str, Any] = {"name": "shipping", "instance_id": f"order-1:{seq}", "input": payload, "queue": "ships"}
    return events.SubOrchestrationCreated(seq, **(given | fields))


def timer(seq: int, seconds: float) -> events.TimerCreated:
    """Make a timer that is due `seconds` after EPOCH."""
    return events.TimerCreated(seq, EPOCH + seconds)


def completed(seq: int, result: bytes = b"\x01") -> events.TaskCompleted:
    return events.TaskCompleted(seq, result)


def failed(seq: int) -> events.TaskFailed:
    return events.TaskFailed(seq, Failure("ValueError", "no"))


def raised(message_id: str, name: str = "payment", payload: bytes = b"\xc0") -> events.EventRaised:
    return events.EventRaised(name, payload, message_id)


def unable(reason: str = REASON, kind: str = "perdure.UnknownOrchestration") -> events.TurnFailed:
    return events.TurnFailed(Failure(kind, reason), reason)


RETURNED = events.ExecutionCompleted(b"\x2a")


def task_ended(seq: int, *, incarnation: str = INCARNATION, execution: int = 0, result: bytes = b"\x01") -> TaskEnded:
    return TaskEnded(incarnation, execution, completed(seq, result))


def child_ended(seq: int, *, incarnation: str = INCARNATION, execution: int = 0) -> ChildEnded:
    return ChildEnded(incarnation, execution, events.SubOrchestrationCompleted(seq, b"\x01"))


def raise_event(message_id: str, *, incarnation: str = INCARNATION) -> RaiseEvent:
    return RaiseEvent(incarnation, raised(message_id), EPOCH)


def timer_due(version: int, *, incarnation: str = INCARNATION, execution: int = 0) -> TimerDue:
    return TimerDue(incarnation, execution, version)


def nudge(version: int = BEGUN, *, incarnation: str = INCARNATION) -> Wake:
    return Wake(incarnation, version)


class Story:
    """One instance whose turns are planned one after the other, as by workers that never conflict.

    Attributes:
        records: Its history so far.
        state: What the worker at hand knows.
    """

    def __init__(self, **fields: Any) -> None:
        self.records = [creation_record(**fields)]
        self.state = fold(KEY, self.records)

    def turn(
        self,
        *decisions: events.DECISIONS,
        inputs: Iterable[events.INPUTS] = (),
        at: float | None = None,
        wake_attempt: int | None = None,
        is_sent: bool = True,
    ) -> Plan:
        """Plan a turn `at` seconds after EPOCH (None: when the last one was), and count it as committed.

        Args:
            is_sent: False: the worker died between the append and sending.
        """
        now = self.state.now if at is None else EPOCH + at
        return self._plan(turn_at(now), tuple(inputs), decisions, wake_attempt, is_sent=is_sent)

    def note(self, *inputs: events.INPUTS) -> Plan:
        """Record inputs without running anything."""
        return self._plan(None, inputs, (), None, is_sent=True)

    def _plan(
        self,
        turn: events.TurnStarted | None,
        inputs: tuple[events.INPUTS, ...],
        decisions: tuple[events.DECISIONS, ...],
        wake_attempt: int | None,
        *,
        is_sent: bool,
    ) -> Plan:
        plan = plan_turn(
            self.state,
            turn=turn,
            turn_id=f"turn-{len(self.records)}",
            inputs=inputs,
            decisions=decisions,
            inline_bytes_max=INLINE_BYTES_MAX,
            wake_attempt=wake_attempt,
        )
        self.records.append(plan.record)
        if is_sent:
            self.state.sent_upto = plan.sent_upto
        return plan

    def reload(self) -> InstanceState:
        """Read the history anew, as a worker that had nothing to do with it so far."""
        self.state = fold(KEY, self.records)
        return self.state


def opened(envelope: Envelope) -> Message:
    return codec.decode_message(envelope.body, where="a test")


def sent(envelopes: Iterable[Envelope], kind: type[Any] | None = None) -> list[Any]:
    """Decode what is sent, all or only one kind of messages."""
    messages = [opened(envelope) for envelope in envelopes]
    return [message for message in messages if kind is None or isinstance(message, kind)]


def delivery_of(envelope: Envelope) -> Delivery:
    return Delivery(envelope, "receipt", 1, 30.0)


def next_try(state: InstanceState, attempt: int) -> Envelope:
    """Make what is sent when try `attempt - 1` failed as the one before, so that nothing is recorded."""
    return retry_wake(state, attempt, state.now)


def as_values(state: InstanceState) -> dict[str, Any]:
    """Take a state apart, to be compared; without what no record tells."""
    values = {name: getattr(state, name) for name in state.__slots__ if name not in {"history_bytes", "sent_upto"}}
    timers = values.pop("timers")
    return values | {"open": dict(timers.open), "armed": (timers.armed_at, timers.armed_version)} | _copies(values)


def _copies(values: dict[str, Any]) -> dict[str, Any]:
    """Copy what a later turn would change under the comparison."""
    return {name: type(value)(value) for name, value in values.items() if isinstance(value, dict | list | set)}
