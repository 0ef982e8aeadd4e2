"""The work that torture is done to: every kind of durable step, and activities that leave a trace outside the hub."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from perdure import Event, Retry, activity, activity_info, orchestration
from perdure.testing import Effect
from perdure_conformance.torture._board import Phase

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from perdure_conformance.torture._board import Row

STEP_SECONDS = 0.01


class Ledger:
    """One file that every attempt of an activity is written to, before and after its effect."""

    def __init__(self, path: Path, row: Row) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._row = row

    @contextmanager
    def attempt(self) -> Generator[None]:
        """Write down one attempt of the running activity; the body is its effect."""
        info = activity_info()
        with self._row.during(Phase.ACTIVITY):
            self._write(Effect(info.idempotency_key, info.attempt, is_done=False))
            self._row.pass_by(Phase.ACTIVITY)
            yield
            self._write(Effect(info.idempotency_key, info.attempt, is_done=True))
            self._row.pass_by(Phase.RECORDING)

    def _write(self, effect: Effect) -> None:
        # One write to a file opened for appending: lines of several processes never mix.
        os.write(self._file, msgspec.json.encode((*effect, self._row.number)) + b"\n")
        os.fsync(self._file)


def read_ledger(path: Path) -> tuple[Effect, ...]:
    """Read every attempt of every process."""
    if not path.exists():
        return ()
    lines = path.read_bytes().splitlines()
    return tuple(Effect(*msgspec.json.decode(line, type=tuple[str, int, bool, int])[:3]) for line in lines)


ledger: Ledger | None = None
"""Set by the worker process."""


@contextmanager
def _attempt() -> Generator[None]:
    assert ledger is not None
    with ledger.attempt():
        yield


class Flaky(Exception):
    """Raised by the first attempts of `persist`."""


@activity
async def look_up(number: int) -> int:
    """Work asynchronously for a moment."""
    with _attempt():
        await asyncio.sleep(STEP_SECONDS)
        return number + 1


@activity
def press(number: int) -> int:
    """Work in a thread for a moment."""
    with _attempt():
        time.sleep(STEP_SECONDS)
        return number * 2


@activity(retry=Retry(attempts=5, first_delay=0.05, backoff=1.0))
async def persist(number: int) -> int:
    """Fail twice, then work."""
    with _attempt():
        if activity_info().attempt < 3:
            raise Flaky(f"attempt {activity_info().attempt}")
        return number + 100


go: Event[int] = Event("go")
never: Event[int] = Event("never")
item: Event[int] = Event("item")


@orchestration
async def side_trip(number: int) -> int:
    """Retry, and wait a little."""
    kept = await persist(number)
    await asyncio.sleep(0.05)
    return kept + await look_up(number)


@orchestration
async def errand(number: int) -> int:
    """Do one of everything: sequence, fan-out, timers, an event, a sub-orchestration, a timeout."""
    first = await look_up(number)
    second = await press(first)
    parts = await asyncio.gather(look_up(second), press(second), look_up(second + 1), side_trip(second))
    await asyncio.sleep(0.1)
    extra = await go()
    try:
        async with asyncio.timeout(0.05):
            await never()
    except TimeoutError:
        extra += await look_up(extra)
    return sum(parts) + extra


def expected_of(number: int, extra: int) -> int:
    """Tell what `errand(number)` gives when it is sent `extra`."""
    second = (number + 1) * 2
    parts = (second + 1, second * 2, second + 2, (second + 100) + (second + 1))
    return sum(parts) + extra + extra + 1


@orchestration
async def collect(count: int) -> list[int]:
    """Take in `count` events, working a little now and then."""
    items: list[int] = []
    while len(items) < count:
        items.append(await item())
        if len(items) % 10 == 0:
            await look_up(items[-1])
    return items


DEFINITIONS = (errand, side_trip, collect, look_up, press, persist)
