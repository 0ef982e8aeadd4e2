"""Counting what goes along a line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from perdure.spi import OutboxCommitter, Step
from perdure_conformance.scenarios._line import Line
from perdure_conformance.scenarios._scene import Scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure_conformance.harness import Harness

__all__ = ["CountedScene"]

T = TypeVar("T")


class _Tally(Line):
    """A line that counts.

    Args:
        counts: Calls by operation.
        splits: Steps go along as a whole: what each would be in parts is counted along with it.
    """

    def __init__(self, counts: Counter[str], *, splits: bool) -> None:
        self._counts = counts
        self._splits = splits

    async def carry(self, operation: str, subject: object, call: Callable[..., Awaitable[T]]) -> T:
        answer = await call()
        # Waiting for messages in vain is not what the story costs.
        self._counts[operation] += operation != "receive" or bool(answer)
        if self._splits and isinstance(subject, Step):
            self._counts.update(_parts_of(subject))
        return answer


def _parts_of(step: Step) -> Counter[str]:
    """Say which calls a Step would be that is carried out part by part."""
    return Counter(
        append=(step.append is not None) + len(step.create),
        send=bool(step.send or step.create),
        complete=bool(step.complete),
    )


class CountedScene(Scene):
    """A scene in which calls are counted.

    Attributes:
        works: What workers called, by operation; receives that gave nothing aside.
        asks: What clients called.
    """

    def __init__(self, harness: Harness) -> None:
        super().__init__(harness)
        self.works: Counter[str] = Counter()
        self.asks: Counter[str] = Counter()

    def line(self, *, works: bool) -> Line:
        splits = not isinstance(self.hub.committer, OutboxCommitter)
        return _Tally(self.works if works else self.asks, splits=splits)
