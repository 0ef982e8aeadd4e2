"""Stories about what asyncio does not have: events, sub-orchestrations, retries, recorded randomness."""

from __future__ import annotations

import asyncio
from typing import Any

from replay_stories import STORIES, story
from replay_support import activity, child, event, loop, rules


@story
async def racing_an_event_and_a_timeout() -> list[str]:
    seen = []
    for _ in range(3):
        try:
            async with asyncio.timeout(10):
                seen.append(f"got {await event('ping')}")
        except TimeoutError:
            seen.append("late")
    return [str(len(seen))]


__all__ = ["STORIES"]


@story
async def listening_side_by_side() -> list[Any]:
    return sorted(await asyncio.gather(*(event("ping") for _ in range(3))))


@story
async def retrying() -> list[Any]:
    retry = rules(attempts=4, first_delay=3.0, jitter=0.5)
    return await asyncio.gather(*(activity("flaky", index, retry=retry) for index in range(4)))


@story
async def giving_up() -> str:
    try:
        async with asyncio.timeout(4):
            await activity("fail", 1, retry=rules(attempts=0, first_delay=1.0))
    except TimeoutError:
        return "stopped"
    return "not reached"


@story
async def having_children() -> list[Any]:
    found = await asyncio.gather(
        child("double", 1), child("fail", 2), child("double", 3, id="mine"), return_exceptions=True
    )
    return [str(each) for each in found]


@story
async def drawing() -> list[Any]:
    shuffled = list(range(20))
    loop().rng().shuffle(shuffled)
    for each in shuffled[:5]:
        await activity("double", each)
    return [shuffled, loop().random_id_bytes().hex()]


@story
async def ordering_sets_of_futures() -> list[Any]:
    """The order in which a set of tasks, calls and gatherings is gone through decides the order of commands."""
    mixed: set[Any] = {asyncio.create_task(activity("slow", index)) for index in range(10)}
    mixed |= {asyncio.gather(activity("slow", 100 + index), activity("slow", 200 + index)) for index in range(5)}
    await asyncio.sleep(0)
    for each in mixed:
        each.cancel()
    await asyncio.wait(mixed)
    for call in {activity("double", index) for index in range(10)}:
        await call
    return [len(mixed)]
