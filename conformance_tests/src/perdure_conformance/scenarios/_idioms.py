"""asyncio as people use it: each idiom on a live orchestration, and replayed from its history at every turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from perdure_conformance.scenarios._battery import slowly
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._idioms_sharing import SHARING
from perdure_conformance.scenarios._idioms_waiting import WAITING
from perdure_conformance.scenarios._samples import double, doubling, fail
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from perdure import Orchestration
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["IdiomScenarios"]

IDIOMS = WAITING | SHARING


class IdiomScenarios(Scenarios):
    @pytest.mark.parametrize("cache_instances", [100, 0], ids=["live", "replayed"])
    @pytest.mark.parametrize(("code", "expected"), IDIOMS.values(), ids=IDIOMS)
    async def test_asyncio_works_as_it_does_elsewhere(
        self, scene: Scene, code: Orchestration[[], Any], expected: object, cache_instances: int
    ) -> None:
        await scene.worker(code, doubling, double, slowly, fail, cache_instances=cache_instances)

        run = await scene.start(code())

        assert await scene.result(run) == expected
        assert turns_of(await scene.history(run))
