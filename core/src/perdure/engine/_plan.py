"""One turn, planned: from messages to inputs, from what the code decided to the Step that makes it so.

Pure: no clock, no chance, no I/O. Ids and times come in as arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perdure import codec, events
from perdure.commands import RECORDED_AS, Command
from perdure.engine._envelopes import retry_wake
from perdure.engine._outbox import is_all_sent, outbox_of, unsent
from perdure.engine._payloads import Offload, input_name, out_of_line
from perdure.ids import Key, child_incarnation
from perdure.messages import ChildEnded, Message, RaiseEvent, TaskEnded
from perdure.records import TurnRecord
from perdure.spi import Append, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perdure.engine._state import InstanceState
    from perdure.spi import StoredPayload

__all__ = ["Plan", "inputs_of", "plan_resend", "plan_turn", "recorded"]


class Plan(NamedTuple):
    """What a turn must do to the hub.

    Attributes:
        record: What the state has been moved to.
        step: Append, create, send; the caller adds what to complete and to claim.
        payloads: Written before the Step: what is too large for the record (R16).
        sent_upto: What `state.sent_upto` is once the Step is done: this record, unless an earlier one may not have
            been sent. Whoever ran that one may have died before, and only a duplicate of its inputs repairs it (R5).
    """

    record: TurnRecord
    step: Step
    payloads: tuple[tuple[StoredPayload, bytes], ...]
    sent_upto: int


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
        turn: Who ran it and when, not before `state.now`; None only records the inputs.
        turn_id: New for this attempt (R4).
        inputs: From `inputs_of`.
        decisions: What the code decided, or a single TurnFailed; nothing if nobody ran it.
        inline_bytes_max: Larger payloads go out of line.
        wake_attempt: Number of the try of a stalled instance whose Wake this turn consumes; None if it consumes none.

    Raises:
        Corrupt: The record would not be a legal one: a defect of the caller. Nothing was changed.
    """
    expected = state.version
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
    was_stalled = state.stalled is not None
    was_all_sent = is_all_sent(state)
    state.apply(record)
    box = outbox_of(state, record)
    if was_stalled and state.stalled is not None and turn is not None and wake_attempt is not None:
        # A stalled instance has exactly one Wake under way: the record that it began with sent the first (R15).
        box.send.append(retry_wake(state, wake_attempt + 1, turn.now))
    append = Append(state.key, turn_id, codec.encode(record), version, expected, state.summary())
    return Plan(
        record,
        Step(append=append, create=tuple(box.create), send=tuple(box.send)),
        payloads=(*offload.payloads, *_child_copies(state, decisions, inline_bytes_max)),
        sent_upto=version if was_all_sent else state.sent_upto,
    )


def _child_copies(
    state: InstanceState, decisions: tuple[events.DECISIONS, ...], inline_bytes_max: int
) -> list[tuple[StoredPayload, bytes]]:
    """Plan the own copy of each sub-orchestration whose input is too large for its first record."""
    copies: list[tuple[StoredPayload, bytes]] = []
    for decision in decisions:
        match decision:
            case events.SubOrchestrationCreated(seq=seq, instance_id=instance_id, input=bytes() as data) if (
                seq in state.children and len(data) > inline_bytes_max
            ):
                name = input_name(child_incarnation(state.incarnation, state.execution, seq))
                copies.append(out_of_line(Key(instance_id), name, data).stored)
            case _:
                pass
    return copies


def plan_resend(state: InstanceState) -> Step:
    """Plan to send again what may not have been sent, before a duplicate input is completed (R5).

    Once the Step is done, everything up to `state.version` is known to have been sent: set `state.sent_upto` to it.
    """
    box = unsent(state)
    return Step(create=tuple(box.create), send=tuple(box.send))
