"""One turn, planned. Pure: messages and records in, a Step out; `worker` and `client` carry it out."""

from perdure.engine._classify import Verdict, classify
from perdure.engine._envelopes import (
    POISONED,
    envelope,
    hop,
    retry_wake,
    stall_delay_seconds,
    tasks_queue,
    turns_queue,
    wake,
)
from perdure.engine._legal import Outcome
from perdure.engine._outbox import creation
from perdure.engine._payloads import Copy, Offload, input_name, out_of_line
from perdure.engine._plan import Plan, inputs_of, plan_resend, plan_turn, recorded
from perdure.engine._state import Asked, InstanceState, fold

__all__ = [
    "POISONED",
    "Asked",
    "Copy",
    "InstanceState",
    "Offload",
    "Outcome",
    "Plan",
    "Verdict",
    "classify",
    "creation",
    "envelope",
    "fold",
    "hop",
    "input_name",
    "inputs_of",
    "out_of_line",
    "plan_resend",
    "plan_turn",
    "recorded",
    "retry_wake",
    "stall_delay_seconds",
    "tasks_queue",
    "turns_queue",
    "wake",
]
