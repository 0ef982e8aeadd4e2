"""The short story that is told to a hub whose disk fails, and what must be true of the hub afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

import perdure
from perdure import Event, activity, activity_info, orchestration
from perdure.authoring import Registry
from perdure.testing import Effect, Expected, verify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

T = TypeVar("T")

LARGE = 300 * 2**10
"""Bytes that do not go in line: they become a file."""

PATIENCE_SECONDS = 60.0
"""More than any of this takes on a slow machine."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was acknowledged and what activities did, outside the hub: a line each.

    Attributes:
        path: On a disk that works.
    """

    path: Path

    def note(self, kind: str, *words: object) -> None:
        """Write one line, at once."""
        with self.path.open("ab", buffering=0) as file:
            file.write(msgspec.json.encode((kind, *words)) + b"\n")

    def all(self, kind: str) -> list[list[Any]]:
        """Give the words of all lines of a kind."""
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        return [line[1:] for line in map(msgspec.json.decode, lines) if line[0] == kind]


ledger: Ledger | None = None
"""Set by whoever tells the story."""


def _note_effect(*, is_done: bool) -> None:
    assert ledger is not None
    ledger.note("effect", activity_info().idempotency_key, activity_info().attempt, is_done)


@activity
async def double(number: int) -> int:
    """Leave a trace."""
    _note_effect(is_done=False)
    _note_effect(is_done=True)
    return 2 * number


@activity
async def inflate(number: int) -> str:
    """Give a result that is kept in a file."""
    _note_effect(is_done=False)
    _note_effect(is_done=True)
    return str(number % 10) * LARGE


go: Event[int] = Event("go")


@orchestration
async def errand(number: int) -> int:
    """Do one of everything that is stored differently."""
    first, large = await asyncio.gather(double(number), inflate(number))
    await asyncio.sleep(0.01)
    return first + len(large) + await go()


DEFINITIONS = (errand, double, inflate)

SETTINGS = perdure.WorkerSettings(lease_seconds=5)
"""So long at most the work of one that was killed is waited for."""


def expected_of(number: int) -> int:
    """Tell what `errand(number)` gives when it is sent `number`."""
    return 2 * number + LARGE + number


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call again for as long as it is refused for the disk's sake, as the documentation tells users to."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except (perdure.Unavailable, perdure.Unknown):
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.02)


async def tell(url: str, numbers: Iterable[int], on_end: Callable[[int], None] = lambda _: None) -> None:
    """Start errands one after the other, send each its event, and wait for it; note what was acknowledged."""
    assert ledger is not None
    async with perdure.connect(url) as hub, hub.worker(*DEFINITIONS, settings=SETTINGS):
        for number in numbers:
            await _tell_one(hub, number)
            on_end(number)
            await asyncio.sleep(0)


async def _tell_one(hub: perdure.Hub, number: int) -> None:
    assert ledger is not None
    id_ = f"errand-{number}"
    run = await insist(lambda: hub.start(errand(number), id=id_, if_exists="return"))
    ledger.note("started", id_)
    await insist(lambda: run.send(go, number, event_id="go"))
    ledger.note("sent", id_)
    result = await insist(lambda: run.result(timeout_seconds=PATIENCE_SECONDS))
    assert result == expected_of(number)
    ledger.note("ended", id_)


async def finish(url: str) -> str:
    """Hold a hub against the ledger, finish what was acknowledged, and hold it against the ledger again.

    Returns:
        What is wrong; empty if nothing is.
    """
    assert ledger is not None
    started, sent, ended = (
        [words[0] for words in ledger.all(kind)] for kind in ("started", "sent", "ended")
    )  # fmt: skip
    async with perdure.connect(url) as hub:
        for id_ in ended:
            summary = await (await hub.get(id_)).summary()
            if summary.status != "Completed":
                return f"{id_} had ended, it is {summary.status} again"
        async with hub.worker(*DEFINITIONS, settings=SETTINGS):
            for id_ in started:
                await _end_one(hub, id_, is_sent=id_ in sent)
            async for summary in hub.list(status=["Pending", "Running"]):  # Its client never heard that it started.
                await _end_one(hub, summary.key, is_sent=False)
        report = await verify(hub, Registry(DEFINITIONS), expected=_expected(), is_exact=True, is_quiet=True)
    return "" if report.ok else str(report)


async def _end_one(hub: perdure.Hub, id_: str, *, is_sent: bool) -> None:
    run, number = await hub.get(id_), int(id_.rpartition("-")[2])
    if not is_sent and (await run.summary()).status != "Completed":
        await run.send(go, number, event_id="go")  # Nobody was told that it was sent: its client sends it again.
    assert await run.result(timeout_seconds=PATIENCE_SECONDS) == expected_of(number)


def _expected() -> Expected:
    assert ledger is not None
    return Expected(
        started=tuple(words[0] for words in ledger.all("started")),
        sent=tuple((words[0], "go") for words in ledger.all("sent")),
        effects=tuple(Effect(*words) for words in ledger.all("effect")),
    )


def left_over(folder: Path) -> list[str]:
    """Name the temporary files that were left among the payloads."""
    return [file.name for file in (folder / "payloads").rglob("*") if file.is_file() and file.suffix]
