"""What code must not do: its turn is not recorded, the instance stalls and says why, and mended code goes on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from perdure import Event, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, number
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure_conformance.scenarios._scene import Scene

__all__ = ["BoundScenarios"]

TURN_SECONDS, TURN_SECONDS_MANY = 0.3, 60.0
"""Of real time: what a watchdog measures is never virtual. All but endless computing is found out by something else."""

BURN_SECONDS = 60.0

never: Event[int] = Event("never")


async def use_a_thread() -> None:
    await asyncio.to_thread(time.time)


async def connect() -> None:
    await asyncio.open_connection("127.0.0.1", 9)


async def start_a_process() -> None:
    await asyncio.create_subprocess_exec("true")


async def run_in_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, time.time)


async def wait_for_nothing() -> None:
    await asyncio.Event().wait()


async def poll() -> None:
    while True:  # noqa: ASYNC110 - that is the point
        await asyncio.sleep(0)


async def compute_for_ever() -> None:
    until = time.monotonic() + BURN_SECONDS
    while time.monotonic() < until:
        pass


WRONGS: dict[str, tuple[Callable[[], Awaitable[None]], str]] = {
    "a thread": (use_a_thread, "activity"),
    "a connection": (connect, "activity"),
    "a process": (start_a_process, "activity"),
    "an executor": (run_in_executor, "activity"),
    "a wait for nothing": (wait_for_nothing, "deadlock"),
    "polling": (poll, "sleep(0)"),
    "endless computing": (compute_for_ever, "too long"),
}


class BoundScenarios(Scenarios):
    @pytest.mark.parametrize(("wrong", "shown"), WRONGS.values(), ids=WRONGS)
    async def test_a_turn_that_does_what_it_must_not_stalls_and_goes_on_when_the_code_is_mended(
        self, scene: Scene, wrong: Callable[[], Awaitable[None]], shown: str
    ) -> None:
        mended: list[bool] = []

        @orchestration
        async def careless() -> int:
            value = await number()
            if not mended:
                await wrong()
            return value + await double(1)

        most = TURN_SECONDS if wrong is compute_for_ever else TURN_SECONDS_MANY
        first = await scene.worker(careless, double, turn_seconds_max=most, replay_check="never")
        run = await scene.start(careless())
        await scene.send(run, number, 40)

        assert shown in await scene.stalled(run)
        assert (await run.summary()).status != "Failed"

        mended.append(True)
        await scene.stop(first)
        await scene.worker(careless, double)
        assert await scene.result(run) == 42

    async def test_swallowing_the_error_does_not_hide_it(self, scene: Scene) -> None:
        @orchestration
        async def swallowing() -> str:
            try:
                await use_a_thread()
            except BaseException:  # noqa: BLE001 - that is the point
                return "swallowed"
            return "?"

        await scene.worker(swallowing)
        run = await scene.start(swallowing())

        assert "to_thread" in await scene.stalled(run) or "run_in_executor" in await scene.stalled(run)
        assert turns_of(await scene.history(run)) == []

    async def test_code_that_depends_on_what_is_not_recorded_is_found_before_anything_is_recorded(
        self, scene: Scene
    ) -> None:
        """Each turn is run twice here, and compared."""
        tosses: list[int] = []

        @orchestration
        async def fickle() -> int:
            await number()
            tosses.append(1)
            return await (double(1) if len(tosses) % 2 else doubling(1))

        await scene.worker(fickle, doubling, double)
        run = await scene.start(fickle())
        await scene.turned(run)
        await scene.send(run, number, 1)

        assert "run a second time" in await scene.stalled(run)
        assert len(turns_of(await scene.history(run))) == 1
        scene.forgive("fickle")

    async def test_a_neighbour_of_one_that_computes_too_long_is_not_hit(self, scene: Scene) -> None:
        @orchestration
        async def greedy() -> None:
            await compute_for_ever()

        await scene.worker(greedy, doubling, double, turn_seconds_max=TURN_SECONDS)
        neighbours = [await scene.start(doubling(each)) for each in range(4)]
        run = await scene.start(greedy())

        assert [await scene.result(each) for each in neighbours] == [0, 2, 4, 6]
        assert "too long" in await scene.stalled(run)
