"""Starting: recorded when it returns, once per id, refused before anything is recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

from perdure import AlreadyExists, Misuse, current, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, number, sleeping, summing, waiting
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["StartScenarios"]

DAY = 86_400.0

IDS = {
    "way up": "../x",
    "absolute path": "/etc/passwd",
    "below another": "a/b",
    "upper case": "A",
    "device": "con",
    "escaped": "%2e%2e",
    "256 emoji": "🦆" * 256,
    "decomposed": "cafe\u0301",
    "space alone": " ",
    "statement": "'; DROP TABLE instances; --",
    "like a child": "order:1",
}

REFUSED: dict[str, dict[str, Any]] = {
    "no id": {"id": ""},
    "id of 257 characters": {"id": "x" * 257},
    "id with a null byte": {"id": "nul\0"},
    "65 tags": {"tags": {f"t{each}": "" for each in range(65)}},
    "tag without a name": {"tags": {"": "a"}},
    "tag that is no text": {"tags": {"team": 7}},
    "time without a zone": {"start_at": datetime(2030, 1, 1)},  # noqa: DTZ001 - that is the point
    "unknown policy": {"if_exists": "overwrite"},
}


@orchestration
async def telling_tags() -> dict[str, str]:
    return dict(current().tags)


@orchestration(version="7", queue="vip")
async def labelled() -> None:
    """End at once."""


class StartScenarios(Scenarios):
    async def test_an_instance_waits_for_the_first_worker_that_comes(self, scene: Scene) -> None:
        run = await scene.start(doubling(1), id="order-1")

        assert run.id == "order-1"
        assert (await run.summary()).status == "Pending"
        await scene.worker(doubling, double)
        assert await scene.result(run) == 2

    async def test_without_an_id_one_is_made_up_each_time_another(self, scene: Scene) -> None:
        runs = [await scene.start(doubling(1)) for _ in range(20)]

        assert len({run.id for run in runs}) == 20
        assert len(await scene.instances()) == 20

    @pytest.mark.parametrize("id", IDS.values(), ids=IDS)
    async def test_any_text_is_an_id_of_its_own(self, scene: Scene, id: str) -> None:
        await scene.worker(waiting, doubling, double)
        neighbours = [await scene.start(waiting(), id=each) for each in ("a", "x", "order")]

        assert await scene.outcome(doubling(3), id=id) == 6
        assert (await scene.summary(id)).key == id
        assert await scene.ids(status=["Completed"]) == [id]
        for neighbour in neighbours:
            await scene.send(neighbour, number, 1)
            assert await scene.result(neighbour) == 1

    async def test_a_taken_id_is_refused_with_the_status_of_the_one_that_has_it(self, scene: Scene) -> None:
        await scene.worker(doubling, double)
        run = await scene.start(doubling(1), id="x")
        await scene.result(run)

        with pytest.raises(AlreadyExists, match="Completed") as caught:
            await scene.finish(scene.client.start(doubling(5), id="x"))

        assert (caught.value.instance_id, caught.value.status) == ("x", "Completed")
        assert await scene.result(run) == 2

    async def test_asked_to_return_it_a_second_start_gives_the_first_instance(self, scene: Scene) -> None:
        """That is how a start that may be repeated is written."""
        await scene.worker(doubling, double)

        runs = [await scene.start(doubling(value), id="x", if_exists="return") for value in (1, 5)]

        assert [await scene.result(run) for run in runs] == [2, 2]
        assert await scene.ids() == ["x"]

    async def test_an_instance_of_another_orchestration_is_never_returned(self, scene: Scene) -> None:
        """Its result would have another type than the caller was promised."""
        await scene.start(waiting(), id="x")

        with pytest.raises(AlreadyExists, match="'waiting'"):
            await scene.finish(scene.client.start(doubling(1), id="x", if_exists="return"))

    @pytest.mark.parametrize("if_exists", ["error", "return"])
    async def test_many_clients_that_start_one_id_at_once_start_one_instance(
        self, scene: Scene, if_exists: Literal["error", "return"]
    ) -> None:
        await scene.worker(doubling, double)
        clients = [(await scene.process()).client for _ in range(4)]

        starts = [client.start(doubling(1), id="x", if_exists=if_exists) for client in clients * 3]
        answers = await scene.finish(asyncio.gather(*starts, return_exceptions=True))

        refused = [answer for answer in answers if isinstance(answer, AlreadyExists)]
        assert len(refused) == (11 if if_exists == "error" else 0)
        for run in answers:
            if not isinstance(run, BaseException):
                assert await scene.result(run) == 2
        assert await scene.ids() == ["x"]

    async def test_what_is_known_of_it_is_in_its_summary_at_once(self, scene: Scene) -> None:
        run = await scene.start(labelled(), id="x", tags={"team": "a", "customer": "ä"})

        summary = await run.summary()
        assert (summary.name, summary.version, summary.queue) == ("labelled", "7", "vip")
        assert summary.tags == {"team": "a", "customer": "ä"}
        assert (summary.status, summary.execution, summary.parent) == ("Pending", 0, "")

    async def test_the_code_sees_its_tags(self, scene: Scene) -> None:
        await scene.worker(telling_tags)

        assert await scene.outcome(telling_tags(), tags={"team": "a", "ü": ""}) == {"team": "a", "ü": ""}

    @pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
    async def test_a_wrong_option_is_refused_and_nothing_is_recorded(
        self, scene: Scene, options: dict[str, Any]
    ) -> None:
        with pytest.raises(Misuse):
            await scene.client.start(doubling(1), **options)

        assert await scene.instances() == []

    async def test_an_input_that_does_not_fit_is_refused_and_nothing_is_recorded(self, scene: Scene) -> None:
        with pytest.raises(Misuse, match="value"):
            await scene.client.start(doubling("one"))  # type: ignore[arg-type]

        assert await scene.instances() == []

    async def test_a_scheduled_start_is_not_before_its_time(self, scene: Scene) -> None:
        await scene.worker(sleeping)
        at = _in(scene, seconds=2 * scene.moment)

        run = await scene.start(sleeping(0), start_at=at)

        assert await scene.result(run) == "awake"
        assert _first_turn_at(turns_of(await scene.history(run))) >= at.timestamp()

    async def test_a_start_scheduled_for_the_past_is_at_once(self, scene: Scene) -> None:
        await scene.worker(sleeping)

        assert await scene.outcome(sleeping(0), start_at=_in(scene, seconds=-DAY)) == "awake"

    async def test_an_event_does_not_start_an_instance_before_its_time(self, scene: Scene) -> None:
        await scene.worker(summing)
        later = await scene.start(summing(1), start_at=_in(scene, seconds=DAY))
        at = _in(scene, seconds=3 * scene.moment)
        run = await scene.start(summing(1), start_at=at)

        await scene.finish(later.send(number, 4))  # put off for a day, where no oracle sees it
        await scene.send(run, number, 5)

        assert await scene.result(run) == [5]
        assert (await later.summary()).status == "Pending"
        assert _first_turn_at(turns_of(await scene.history(run))) >= at.timestamp()


def _in(scene: Scene, *, seconds: float) -> datetime:
    return datetime.fromtimestamp(scene.clock.now(), UTC) + timedelta(seconds=seconds)


def _first_turn_at(turns: list[Any]) -> float:
    at: float = turns[0].turn.now
    return at
