"""Messages of one instance, by what is to be done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.engine import Verdict, classify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.engine import InstanceState
    from perdure.worker._turns import Arrival

__all__ = ["Judged", "Stale", "judge"]


class Stale(Exception):
    """The state at hand is too old or was overtaken: read the history and judge again."""


class Judged:
    """What a turn takes in, and what needs none.

    Attributes:
        run: New: to be fed to the code.
        duplicates: Nothing new: what may not have been sent is sent again first (R5).
        dropped: For nobody.
        early: To be sent again for when it is due (R13).
    """

    __slots__ = ("dropped", "duplicates", "early", "run")

    def __init__(self) -> None:
        self.run: list[Arrival] = []
        self.duplicates: list[Arrival] = []
        self.dropped: list[Arrival] = []
        self.early: list[Arrival] = []


def judge(state: InstanceState | None, arrivals: Iterable[Arrival], now: float, *, authoritative: bool) -> Judged:
    """Judge messages as `classify` does.

    Raises:
        Stale: Read the history first.
    """
    judged = Judged()
    for arrival in arrivals:
        match classify(state, arrival.message, now=now, authoritative=authoritative):
            case Verdict.RUN:
                judged.run.append(arrival)
            case Verdict.DUPLICATE:
                judged.duplicates.append(arrival)
            case Verdict.DROP:
                judged.dropped.append(arrival)
            case Verdict.EARLY:
                judged.early.append(arrival)
            case Verdict.RELOAD:
                raise Stale
    return judged
