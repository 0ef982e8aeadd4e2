"""Every measurement by its name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from _first_result import w5
from _kill import acknowledged, recovery
from _processes import processes
from _single import chains, fan_out, long_chain, w3, w4, w6
from _statements import statements
from _steady import short, w1, w2
from _waiting import memory, waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _numbers import Number
    from _plan import Bench

ALL = frozenset({"sqlite", "file", "memory"})
ON_DISK = ALL - {"memory"}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One thing that can be measured.

    Attributes:
        run: Measures it.
        about: In a few words, for the list.
        schemes: Of the hubs on which it makes sense.
    """

    run: Callable[[Bench], Awaitable[list[Number]]]
    about: str
    schemes: frozenset[str] = ALL


MEASUREMENTS: dict[str, Measurement] = {
    "w1-1": Measurement(partial(w1, open_count=1), "W1: workflows of five steps, 1 open"),
    "w1-50": Measurement(partial(w1, open_count=50), "W1: workflows of five steps, 50 open"),
    "w1-512": Measurement(partial(w1, open_count=512), "W1: workflows of five steps, 512 open"),
    "short-50": Measurement(partial(short, open_count=50), "workflows of one step, 50 open"),
    "short-512": Measurement(partial(short, open_count=512), "workflows of one step, 512 open"),
    "w2": Measurement(w2, "W2: one workflow at a time, start to result"),
    "w3": Measurement(w3, "W3: one workflow, 1,000 steps in parallel"),
    "w4": Measurement(w4, "W4: one workflow, 2,000 steps in sequence"),
    "chains-50": Measurement(partial(chains, open_count=50), "workflows of 2,000 steps in sequence, 50 open"),
    "chains-512": Measurement(partial(chains, open_count=512), "workflows of 2,000 steps in sequence, 512 open"),
    "w5": Measurement(w5, "W5: process start to first result, empty folder"),
    "w6": Measurement(w6, "W6: 1,000 workflows that sleep 1 s"),
    "fan-out": Measurement(fan_out, "one workflow, 10,000 steps in parallel"),
    "chain": Measurement(long_chain, "one workflow, 10,000 steps in sequence, then a cold restart"),
    "waiting": Measurement(waiting, "10,000 instances that wait for an event", ON_DISK),
    "memory": Measurement(memory, "memory of a fresh worker process after W1, 50 open", ON_DISK),
    "recovery": Measurement(recovery, "SIGKILL of a worker to the next new step", ON_DISK),
    "acknowledged": Measurement(acknowledged, "SIGKILL during W1: is all there that was told?", ON_DISK),
    "processes": Measurement(processes, "one, two and four worker processes on one hub", ON_DISK),
    "statements": Measurement(statements, "PRAGMA synchronous, statements and commits per step", frozenset({"sqlite"})),
}
