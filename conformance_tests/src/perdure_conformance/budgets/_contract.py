"""BudgetContract: bounds for each story."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

import pytest_asyncio

from perdure import orchestration
from perdure_conformance._report.counts import note_count
from perdure_conformance.budgets._tally import CountedScene
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.scenarios._samples import double, number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import pytest

__all__ = ["BudgetContract"]

ACTIVITIES = 10
LOOKS = 5


@orchestration
async def chaining() -> int:
    value = 1
    for _ in range(ACTIVITIES):
        value = await double(value)
    return value


@orchestration
async def pausing() -> int:
    first = await number()
    return first + await number()


class BudgetContract(Contract):
    """What a story costs is known beforehand.

    Attributes:
        requests_max: Most requests to the service underneath, by story (`start`, `activities`, `status`) and by the
            operation as the harness's `requests` calls it. What is not named is not bounded.
    """

    level = 12
    requests_max: ClassVar[Mapping[str, Mapping[str, int]]] = {}

    @pytest_asyncio.fixture(name="scene")
    async def open_scene(self, harness: Harness, request: pytest.FixtureRequest) -> AsyncIterator[CountedScene]:
        """Give each story an empty hub with counters on its lines."""
        async with CountedScene(harness) as scene:
            yield scene
        note_count(request.node, "calls_counted", scene.works.total() + scene.asks.total())

    async def test_a_start_is_one_append_and_one_message_and_reads_nothing(self, scene: CountedScene) -> None:
        """Where record and message are not one transaction, one more message guards the start."""
        count_requests = _counting(scene.harness)

        await scene.start(chaining())

        assert scene.asks["append"] == 1
        assert scene.asks["send"] == 1 + (not scene.hub.committer.capabilities.atomic)
        assert _looks(scene.asks) == 0
        self._check_requests("start", count_requests())

    async def test_a_warm_turn_is_one_append_and_reads_nothing(self, scene: CountedScene) -> None:
        """The worker that ran the turn before knows the history: it need not ask for it."""
        await scene.worker(chaining, double, replay_check="never")
        run = await scene.start(chaining())
        await scene.turned(run)
        count_requests = _counting(scene.harness)

        await scene.result(run)

        turns = ACTIVITIES + 1
        assert scene.works["append"] <= turns
        assert scene.works["read"] <= 1  # The first turn is a cold one.
        assert scene.works["payloads"] == scene.works["get_payload"] == scene.works["put_payload"] == 0
        self._check_requests("activities", count_requests())

    async def test_nothing_that_instances_do_scans_the_hub(self, scene: CountedScene) -> None:
        """A scan costs as much as there are instances: a worker makes one when it begins, and then none."""
        await scene.worker(chaining, double)
        await scene.outcome(chaining())

        await scene.outcome(chaining())

        assert scene.works["scan"] <= 1
        assert scene.asks["scan"] == 0

    async def test_an_activity_of_the_same_worker_costs_no_message_back(self, scene: CountedScene) -> None:
        """Its outcome goes straight to the next turn (R17): no send, no receive and no complete of its own.

        One message asks for it; it is received only where a Step cannot lease it from birth.
        """
        await scene.worker(chaining, double, replay_check="never")

        await scene.outcome(chaining())

        is_leased_from_birth = scene.hub.committer.capabilities.claims
        assert scene.works["send"] <= ACTIVITIES
        assert scene.works["receive"] <= 1 + (0 if is_leased_from_birth else ACTIVITIES)
        assert scene.works["complete"] <= ACTIVITIES + 1

    async def test_a_turn_on_a_worker_that_does_not_know_the_history_reads_it_once(self, scene: CountedScene) -> None:
        run = await scene.start(pausing())
        first = await scene.worker(pausing, replay_check="never")
        await scene.turned(run)
        await scene.stop(first)
        await scene.worker(pausing, replay_check="never")
        scene.works.clear()

        await scene.send(run, number, 1)
        await scene.turned(run, 2)

        assert scene.works["read"] == 1
        assert scene.works["append"] == 1

    async def test_a_status_is_one_read(self, scene: CountedScene) -> None:
        run = await scene.start(pausing())
        scene.asks.clear()
        count_requests = _counting(scene.harness)

        for _ in range(LOOKS):
            await run.summary()

        assert scene.asks == Counter(read=LOOKS)
        self._check_requests("status", count_requests())

    def _check_requests(self, story: str, made: Counter[str] | None) -> None:
        """Hold what the service was asked against the author's bounds."""
        bounds = self.requests_max.get(story, {})
        assert made is not None or not bounds, "requests_max needs a harness with requests()"
        over = {name: made[name] for name, most in bounds.items() if made is not None and made[name] > most}
        assert not over, f"{story}: {over} requests, at most {dict(bounds)} are allowed"


def _looks(counts: Counter[str]) -> int:
    return sum(counts[name] for name in ("read", "scan", "changed", "ended", "get_payload", "payloads"))


def _counting(harness: Harness) -> Callable[[], Counter[str] | None]:
    """Begin to count requests; the result tells those since. None: the harness does not count."""
    requests: Callable[[], Mapping[str, int]] | None = getattr(harness, "requests", None)
    if requests is None:
        return lambda: None
    before = Counter(requests())
    return lambda: Counter(requests()) - before
