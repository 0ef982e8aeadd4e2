"""One turn, planned: from messages to inputs, from what the code decided to the Step that makes it so.

Pure: no clock, no chance, no I/O. Ids and times come in as arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perdure import codec, events
from perdure.commands import RECORDED_AS, Command
from perdure.engine._outbox import outbox_of, unsent, wake
from perdure.engine._payloads import Offload, input_name, out_of_line
from perdure.ids import Key, child_incarnation
from perdure.messages import ChildEnded, Message, RaiseEvent, TaskEnded, TimerDue, Wake
from perdure.records import TurnRecord
from perdure.spi import Append, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perdure.engine._state import InstanceState
    from perdure.spi import Delivery, Envelope, StoredPayload

__all__ = ["POISONED", "Plan", "hop", "inputs_of", "plan_resend", "plan_turn", "recorded", "retry_wake", "stall_delay_seconds"]

POISONED = "perdure.Poisoned"
"""Failure type of an instance or activity that took its process down: it is only ever tried alone (R15)."""

STALL_DELAY_FIRST_SECONDS = 1.0
STALL_DELAY_MAX_SECONDS = 60.0


class Plan(NamedTuple):
    """What a turn must do to the hub.

    Attributes:
        record: What the state has been moved to.
        step: Append, create, send; the caller adds what to complete and to claim.
        payloads: Written before the Step: what is too large for the record (R16).
    """

    record: TurnRecord
    step: Step
    payloads: tuple[tuple[StoredPayload, bytes], ...]


def inputs_of(state: InstanceState, messages: Iterable[Message], now: float) -> tuple[events.INPUTS, ...]:
    """Collect what a turn consumes: due timers first, in (fire_at, seq) order (R19), then messages as they came.

    Args:
        state: Before the turn.
        messages: Those that `classify` told to RUN.
        now: Orchestration clock of the turn.

    Returns:
        Inputs without repeats: the first outcome of a task wins, an event counts once per message id (S3b, S4).
    """
    inputs: list[events.INPUTS] = list(state.due_timers(now))
    seen: set[int | str] = set()
    for message in messages:
        match message:
            case TaskEnded(outcome=outcome) | ChildEnded(outcome=outcome) if outcome.seq not in seen:
                seen.add(outcome.seq)
                inputs.append(outcome)
            case RaiseEvent(event=event) if event.message_id not in seen:
                seen.add(event.message_id)
                inputs.append(event)
            case _:
                pass
    return tuple(inputs)


def recorded(commands: Sequence[Command]) -> tuple[events.DECISIONS, ...]:
    """Turn what code asked for into what has happened."""
    return tuple(RECORDED_AS[type(command)](*msgspec.structs.astuple(command)) for command in commands)


def plan_turn(
    state: InstanceState,
    *,
    turn: events.TurnStarted | None,
    turn_id: str,
    inputs: tuple[events.INPUTS, ...],
    decisions: tuple[events.DECISIONS, ...],
    inline_bytes_max: int,
    wake_attempt: int | None = None,
) -> Plan:
    """Plan the record of a turn and everything that it sends. Moves `state` to after the turn.

    If the Step then meets a conflict, `state` tells of a turn that never was: drop it and read again.

    Args:
        state: At the version that the Step expects.
        turn: Who ran it and when; None only records the inputs.
        turn_id: New for this attempt (R4).
        inputs: From `inputs_of`.
        decisions: What the code decided, or a single TurnFailed.
        inline_bytes_max: Larger payloads go out of line.
        wake_attempt: Attempt number of the Wake that this turn consumes; None if it consumes none.
    """
    expected = state.version
    was_stalled = state.stalled is not None
    version = expected + 1
    offload = Offload(state.key, f"{state.incarnation}/r/{version}-{turn_id}", inline_bytes_max)
    record = TurnRecord(
        version,
        turn_id,
        state.incarnation,
        state.execution,
        turn,
        offload.all(inputs),
        offload.all(decisions),
        state.sent_upto,
    )
    state.apply(record)
    copies = _child_copies(state, decisions, inline_bytes_max)
    box = outbox_of(state, record)
    if turn is not None and state.stalled is not None and (not was_stalled or wake_attempt is not None):
        # A stalled instance has exactly one Wake under way: more would multiply, none would leave it lying (R15).
        box.send.append(retry_wake(state, (wake_attempt or 0) + 1, turn.now))
    append = Append(state.key, turn_id, codec.encode(record), version, expected, state.summary())
    step = Step(append=append, create=tuple(box.create), send=tuple(box.send))
    return Plan(record, step, (*offload.payloads, *copies))


def _child_copies(
    state: InstanceState, decisions: tuple[events.DECISIONS, ...], inline_bytes_max: int
) -> list[tuple[StoredPayload, bytes]]:
    """Plan a child's own copy of each input that is too large for its first record."""
    copies: list[tuple[StoredPayload, bytes]] = []
    for decision in decisions:
        if isinstance(decision, events.SubOrchestrationCreated) and isinstance(decision.input, bytes):
            if len(decision.input) > inline_bytes_max:
                child = child_incarnation(state.incarnation, state.execution, decision.seq)
                copy = out_of_line(Key(decision.instance_id), input_name(child), decision.input)
                copies.append(copy.stored)
    return copies


def plan_resend(state: InstanceState) -> Step:
    """Plan to send again what may not have been sent, before a duplicate input is completed (R5)."""
    box = unsent(state)
    return Step(create=tuple(box.create), send=tuple(box.send))


def stall_delay_seconds(attempt: int) -> float:
    """Tell how long a stalled instance waits before try `attempt` (1, 2, …): doubling from 1 s up to a minute."""
    return min(STALL_DELAY_FIRST_SECONDS * 2 ** (attempt - 1), STALL_DELAY_MAX_SECONDS)


def retry_wake(state: InstanceState, attempt: int, now: float) -> Envelope:
    """Make the message that has a stalled instance tried again: with a fresh id, so that no delivery is burnt (R15)."""
    assert state.started is not None
    not_before = now + stall_delay_seconds(attempt)
    alone = state.stalled is not None and state.stalled.failure.type == POISONED
    return wake(
        state.key,
        state.incarnation,
        state.version,
        state.started.queue,
        attempt=attempt,
        alone=alone,
        not_before=not_before,
    )


def hop(state: InstanceState, message: Message, delivery: Delivery) -> Envelope:
    """Send an early message again for when it is due (R13). The old one is completed with the same Step."""
    due = state.next_due() if isinstance(message, TimerDue) else 0.0
    if isinstance(message, Wake) and state.started is not None:
        due = state.started.scheduled_start
    return msgspec.structs.replace(delivery.envelope, not_before=due)
