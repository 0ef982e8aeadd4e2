"""Libraries on the durable loop: what only waits works, what talks to the world is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from replay_support import Driven, activity, encode, event, result_of

from perdure.commands import SetTimer
from perdure.events import EventRaised, TaskCompleted, TimerFired
from perdure.replay import TurnDoomed

anyio = pytest.importorskip("anyio", reason="anyio is not installed")


def test_anyio_sleep_is_a_durable_timer() -> None:
    async def sleepy() -> str:
        await anyio.sleep(3600)
        return "awake"

    driven = Driven(sleepy)

    assert driven.start() == (SetTimer(1, 1000.0 + 3600),)
    assert result_of(driven.turn(TimerFired(1), after=3600)) == "awake"


def test_anyio_scopes_time_out_and_cancel() -> None:
    async def scoped() -> list[Any]:
        with anyio.move_on_after(10) as scope:
            await activity("slow")
        try:
            with anyio.fail_after(5):
                await event("never")
        except TimeoutError:
            return [scope.cancelled_caught, "late"]
        return []

    driven = Driven(scoped)
    driven.start()
    driven.turn(TimerFired(1), after=10)
    last = driven.turn(*(TimerFired(seq) for seq in _open_timers(driven)), after=5)

    assert result_of(last) == [True, "late"]
    assert driven.replayed().execution.is_closed


def test_anyio_groups_run_and_cancel_their_members() -> None:
    async def grouped() -> list[str]:
        seen = []

        async def member(name: str) -> None:
            try:
                seen.append(await activity(name))
            except asyncio.CancelledError:
                seen.append(f"{name} cancelled")
                raise

        async with anyio.create_task_group() as group:
            group.start_soon(member, "quick")
            group.start_soon(member, "slow")
            await event("enough")
            group.cancel_scope.cancel()
        return seen

    driven = Driven(grouped)
    driven.start()
    driven.turn(TaskCompleted(1, encode("done")))
    last = driven.turn(EventRaised("enough", encode(None), "m"))

    assert result_of(last) == ["done", "slow cancelled"]
    assert driven.replayed().execution.is_closed


def test_anyio_events_locks_and_streams_work() -> None:
    async def piped() -> list[int]:
        send, receive = anyio.create_memory_object_stream[int](1)
        lock, ready, seen = anyio.Lock(), anyio.Event(), []

        async def produce() -> None:
            async with send:
                for index in range(3):
                    await send.send(await activity("double", index))
            ready.set()

        async with anyio.create_task_group() as group, receive:
            group.start_soon(produce)
            async for item in receive:
                async with lock:
                    seen.append(item)
            await ready.wait()
        return seen

    driven = Driven(piped)
    driven.start()
    for seq in (1, 2):
        driven.turn(TaskCompleted(seq, encode(seq)))

    assert result_of(driven.turn(TaskCompleted(3, encode(3)))) == [1, 2, 3]
    assert driven.replayed().execution.is_closed


def test_anyio_threads_are_refused() -> None:
    async def threading() -> None:
        await anyio.to_thread.run_sync(print)

    with pytest.raises(TurnDoomed, match=r"inside an orchestration|made directly") as caught:
        Driven(threading).start()
    assert caught.value.reason == "not_deterministic"
    assert "in threading" in str(caught.value)


def test_httpx_is_refused_at_its_first_socket_call() -> None:
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")

    async def fetching() -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get("http://127.0.0.1:9/")).status_code

    with pytest.raises(TurnDoomed, match=r"loop\.\w+\(\) was called inside an orchestration") as caught:
        Driven(fetching).start()
    assert caught.value.reason == "not_deterministic"
    assert "in fetching" in str(caught.value)
    assert "activity" in str(caught.value)


def _open_timers(driven: Driven) -> list[int]:
    set_timers = [each.seq for turn in driven.history for each in turn.decisions if hasattr(each, "fire_at")]
    return [seq for seq in set_timers if seq in driven.execution._loop.open]
