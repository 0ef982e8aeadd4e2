"""What goes wrong in a run: drawn from the seed, each fault under a name of its own, so that it can be left out.

A seed first draws which kinds of faults it has at all and how many (some bugs need one kind alone), then for every
process and every call whether one happens there.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.testing.simulation._chance import Chance

__all__ = ["CALM", "CallFault", "Fault", "FaultPlan", "ProcessFaults"]


class CallFault(Enum):
    """What can happen to one call of a store, queue or committer."""

    REFUSED = "refused before any effect"
    LOST = "lost on the way there"
    ANSWER_LOST = "done, and its answer lost"
    LATE = "answered with an error, and done later"
    TWICE = "done twice"
    SLOW = "slow"


_ANY: Final = (CallFault.REFUSED, CallFault.SLOW)
_UNCERTAIN: Final = (*_ANY, CallFault.LOST, CallFault.ANSWER_LOST, CallFault.LATE, CallFault.TWICE)
CALL_FAULTS: Final[dict[str, tuple[CallFault, ...]]] = {
    "commit": _UNCERTAIN,
    "append": _UNCERTAIN,
    "send": (*_ANY, CallFault.TWICE),
    "complete": (*_ANY, CallFault.TWICE),
}
"""What can happen to a call by its name; to any other, REFUSED and SLOW."""

RATES: Final = (0.0, 0.01, 0.05, 0.1, 0.25)
STEPS_TO_DEATH_MAX: Final = 400
PAUSE_SECONDS: Final = (1.0, 8.0, 45.0, 200.0)
SKEW_SECONDS_MAX: Final = 300.0
OUTAGE_SECONDS_MAX: Final = 90.0
SLOW_SECONDS_MAX: Final = 40.0
STOPS_SECONDS_MAX: Final = 60.0
FAULTY_SECONDS: Final = (5.0, 60.0, 300.0)
DEATHS_MAX: Final = 4


class Fault(msgspec.Struct, frozen=True):
    """One thing that went wrong.

    Attributes:
        id: Its name in the seed, for example `w1.2#17`: the seventeenth call of the second process of worker 1.
        at_seconds: When, in virtual seconds.
        text: What.
    """

    id: str
    at_seconds: float
    text: str

    def __str__(self) -> str:
        return f"{self.at_seconds:10.3f} s  {self.id}: {self.text}"


class ProcessFaults(msgspec.Struct, frozen=True):
    """What will happen to one process; 0 means that it will not. See `Life`.

    A worker also may be told to stop, as at every deployment, and another begins in its place.
    """

    dies_at: int = 0
    pauses_at: int = 0
    pause_seconds: float = 0.0
    skew_seconds: float = 0.0
    stops_after_seconds: float = 0.0


CALM: Final = ProcessFaults()


class FaultPlan:
    """The faults of one run.

    Args:
        chance: Draws them; None plans none.
        now: Tells the virtual time.
        only: Ids of the faults that may happen; None allows all that are drawn.

    Attributes:
        happened: Those that did, in order.
        until_seconds: When the time of faults is over at the latest.
        is_over: No more: the hub and the workers are to recover.
    """

    def __init__(self, chance: Chance | None, now: Callable[[], float], only: frozenset[str] | None) -> None:
        self.happened: list[Fault] = []
        self.is_over = chance is None
        self._chance = chance
        self._now = now
        self._only = only
        self._outages: dict[str, tuple[float, float]] = {}
        if chance is None:
            self.until_seconds = 0.0
            return
        self.until_seconds = chance.pick("until", FAULTY_SECONDS)
        self._rate = chance.pick("rate", RATES)
        self._kinds = {kind for kind in CallFault if chance.share(f"has {kind.name}") < 2 / 3}
        for number in range(chance.pick("outages", (0, 0, 1, 2))):
            begin = chance.between(f"outage {number}", 0, self.until_seconds)
            seconds = chance.between(f"outage {number} seconds", 0.1, OUTAGE_SECONDS_MAX)
            self._outages[f"outage{number}"] = (begin, begin + seconds)

    def of_call(self, process: str, number: int, operation: str) -> tuple[CallFault, float] | None:
        """Say what happens to a call, and a number of seconds for what is slow or late."""
        chance = self._chance
        if chance is None or self.is_over:
            return None
        name = f"{process}#{number}"
        if chance.share(name) >= self._rate:
            return None
        kind = chance.pick(f"{name} kind", CALL_FAULTS.get(operation, _ANY))
        seconds = SLOW_SECONDS_MAX * chance.share(f"{name} seconds") ** 3
        is_timed = kind in {CallFault.SLOW, CallFault.LATE}
        text = f"{operation} {kind.value}{f', {seconds:.3f} s' if is_timed else ''}"
        return (kind, seconds) if kind in self._kinds and self.happens(name, text) else None

    def is_away(self) -> bool:
        """Tell whether the hub is away now: it refuses every call."""
        if self.is_over:
            return False
        now = self._now()
        away = [(name, end) for name, (begin, end) in self._outages.items() if begin <= now < end]
        return any(self.happens(name, f"the hub is away until {end:.3f} s") for name, end in away)

    def of_process(self, process: str, deaths: int) -> ProcessFaults:
        """Say what will happen to a process.

        Args:
            process: Its name.
            deaths: How many died before it in its place; only so many do.
        """
        chance = self._chance
        if chance is None or self.is_over:
            return CALM
        dies = deaths < DEATHS_MAX and chance.share("deadly") < 3 / 4 and chance.share(f"{process} dies") < 1 / 2
        pauses = chance.share("pausing") < 1 / 2 and chance.share(f"{process} pauses") < 1 / 2
        skewed = chance.share("skewed") < 1 / 2 and chance.share(f"{process} skewed") < 1 / 2
        skew = SKEW_SECONDS_MAX * chance.between(f"{process} skew", -1, 1) ** 3 if skewed else 0.0
        if skew and not self.happens(f"{process}:skew", f"its clock is off by {skew:+.3f} s"):
            skew = 0.0
        stops = deaths < DEATHS_MAX and chance.share("deploying") < 1 / 2 and chance.share(f"{process} stops") < 1 / 2
        return ProcessFaults(
            stops_after_seconds=STOPS_SECONDS_MAX * chance.share(f"{process} stop") ** 4 if stops else 0.0,
            dies_at=self._step(f"{process}:death") if dies else 0,
            pauses_at=self._step(f"{process}:pause") if pauses else 0,
            pause_seconds=chance.pick(f"{process} pause", PAUSE_SECONDS),
            skew_seconds=skew,
        )

    def _step(self, name: str) -> int:
        """Draw the step at which something happens, early ones more often; 0 if it is left out."""
        assert self._chance is not None
        is_left_out = self._only is not None and name not in self._only
        return 0 if is_left_out else 1 + int(STEPS_TO_DEATH_MAX ** self._chance.share(name))

    def happens(self, name: str, text: str) -> bool:
        """Note a fault, once; False if it is left out."""
        if self._only is not None and name not in self._only:
            return False
        if all(fault.id != name for fault in self.happened):
            self.happened.append(Fault(name, self._now(), text))
        return True
