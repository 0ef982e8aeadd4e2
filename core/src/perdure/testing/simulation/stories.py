"""Orchestrations that use each part of Perdure once, to be simulated: `perdure.testing.simulation.stories:everything`.

All activities are deterministic and idempotent, so that results must be those of a run without faults.
"""

from __future__ import annotations

import asyncio

from perdure.authoring import Event, Retry, activity, activity_info, orchestration, rng, uuid4
from perdure.errors import ActivityError, SubOrchestrationError

__all__ = ["EVENTS", "STORIES", "everything"]

EVENTS = (("go", 1), ("go", 2), ("stop", "now"))
"""What every instance is sent."""

WORKS_AT = 3

go: Event[int] = Event("go")
stop: Event[str] = Event("stop")


@activity
async def add(left: int, right: int) -> int:
    """Add, after a while."""
    await asyncio.sleep(0.2)
    return left + right


@activity(queue="far")
def double(value: int) -> int:
    """Double, as a plain function on a queue of its own."""
    return value * 2


@activity(retry=Retry(attempts=4, first_delay=1))
async def third_time(name: str) -> str:
    """Work at the third attempt."""
    if activity_info().attempt < WORKS_AT:
        raise ConnectionError(name)
    return name


@activity
async def never(name: str) -> str:
    """Fail."""
    raise ValueError(name)


@activity(timeout=5)
async def slow(seconds: float) -> float:
    """Take its time, which may be over its limit."""
    await asyncio.sleep(seconds)
    return seconds


@orchestration
async def fan_out(width: int = 5) -> int:
    """Ask for several at once, twice."""
    first = await asyncio.gather(*(add(number, 1) for number in range(width)))
    second = await asyncio.gather(*(double(value) for value in first))
    return sum(second)


@orchestration
async def waiting() -> list[object]:
    """Wait for events, and for none."""
    got: list[object] = [await go(), await go()]
    got.sort(key=str)
    got.append(await stop())
    try:
        async with asyncio.timeout(7):
            await go()
    except TimeoutError:
        got.append("no third")
    return got


@orchestration
async def sleeping() -> str:
    """Let timers race, and cancel the late ones."""
    naps = [asyncio.ensure_future(asyncio.sleep(seconds, seconds)) for seconds in (30, 2, 400)]
    done, late = await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
    for nap in late:
        nap.cancel()
    await asyncio.sleep(90)
    return ",".join(str(nap.result()) for nap in done)


@orchestration
async def child(value: int) -> int:
    """Do a part."""
    return await double(await add(value, 1))


@orchestration
async def family() -> list[object]:
    """Have children, one of them under an id that is taken by another."""
    taken = f"child-{uuid4()}"
    one, two = await asyncio.gather(child(1), child.options(id=taken)(2))
    try:
        await child.options(id=taken)(3)
    except SubOrchestrationError as error:
        return [one, two, error.failure.type]
    return [one, two]


@orchestration
async def failing() -> list[str]:
    """Meet each kind of failure, and go on."""
    told = [await third_time("third")]
    for call in (never("never"), slow(50)):
        try:
            await call
        except ActivityError as error:
            told.append(error.failure.type)
    return told


@orchestration
async def drawing() -> list[int]:
    """Draw, and repeat on the way back from every crash."""
    return [await add(rng().randrange(1_000), number) for number in range(4)]


@orchestration
async def everything() -> list[object]:
    """All of it at once."""
    return list(await asyncio.gather(fan_out(3), sleeping(), failing(), drawing(), child(4)))


STORIES = (fan_out, waiting, sleeping, family, failing, drawing, everything)
