"""Torture: real worker processes on one hub, killed, stopped and started again; afterwards everything must be right.

    async with torture(harness, addresses, folder) as place:
        place.start_worker()
        await place.client.start(errand(1), id="errand-1")
        await place.kill(Phase.TRANSACTION)          # SIGKILL while the write lock is held; place.toll counts
        ...
        report = await place.verify(started=..., sent=...)

Nothing here knows a provider: a harness and its addresses are all. Waits are on conditions, with a limit that only a
hang reaches.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

import perdure
from perdure.authoring import Registry
from perdure.hub import OpenHub
from perdure.testing import Expected, Report, verify
from perdure_conformance.torture import _client, _load, _worker
from perdure_conformance.torture._board import Board, Phase
from perdure_conformance.torture._process import HANG_SECONDS, Process, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from pathlib import Path
    from random import Random

    from perdure_conformance.harness import Addresses, Harness

LEASE_SECONDS = 1.0
"""Short, so that what a dead worker held is soon taken over; longer where the backend keeps no such lease."""


class Place:
    """One hub under torture.

    Args:
        client: Of the hub, in this process.
        addresses: Where the other processes connect.
        settings: What they connect with.
        folder: For the board, the ledger and what the processes say.
        mutant: Name of a defect that the workers have; empty for none.

    Attributes:
        client: The one that was given.
        processes: Worker processes, dead ones included, by their rows.
        toll: How many kills have hit what.
    """

    def __init__(
        self, client: perdure.Hub, addresses: Addresses, settings: perdure.Settings, folder: Path, mutant: str = ""
    ) -> None:
        self.client = client
        self.processes: list[Process] = []
        self.toll: Counter[str] = Counter()
        self._addresses = addresses
        self._settings = settings
        self._folder = folder
        self._mutant = mutant
        self._board = Board(folder / "board")
        self._clients: list[subprocess.Popen[bytes]] = []

    @property
    def is_atomic(self) -> bool:
        """Whether Steps are carried out as a whole."""
        return self.client._hub.committer.capabilities.atomic  # noqa: SLF001 - below what applications see

    def traps(self, *wanted: Phase) -> list[Phase]:
        """List those of the wanted phases that a worker of this hub can be caught in; of all if none are named."""
        possible = {
            Phase.TRANSACTION: self.is_atomic and self._addresses.probe != "",
            Phase.APPENDED: not self.is_atomic,
            Phase.SENDING: not self.is_atomic,
            Phase.SENT: not self.is_atomic,
        }
        return [phase for phase in (wanted or Phase) if possible.get(phase, True)]

    @property
    def alive(self) -> list[Process]:
        """The workers that have not ended."""
        return [process for process in self.processes if process.is_alive]

    def start_worker(self) -> Process:
        """Start one more worker process."""
        row = self._board.row(len(self.processes))
        orders = _worker.Orders(
            settings=self._settings,
            board=str(self._folder / "board"),
            row=row.number,
            ledger=str(self._folder / "ledger"),
            is_atomic=self.is_atomic,
            probe=self._addresses.probe,
            mutant=self._mutant,
        )
        process = Process(self._spawn("worker", orders, f"worker-{row.number}"), row)
        self.processes.append(process)
        return process

    def start_client(self, ids: Iterable[str], *, collector: str = "") -> subprocess.Popen[bytes]:
        """Start a process that starts or sends, see `_client.Orders`; `acknowledged` tells how far it came."""
        orders = _client.Orders(
            settings=self._settings,
            acknowledged=str(self._folder / "acknowledged"),
            ids=tuple(ids),
            collector=collector,
            is_atomic=self.is_atomic,
        )
        self._clients.append(self._spawn("client", orders, f"client-{len(self._clients)}"))
        return self._clients[-1]

    def _spawn(self, part: str, orders: msgspec.Struct, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "perdure_conformance.torture", part, msgspec.json.encode(orders).decode()]
        environment = {**os.environ, "PYTHONHASHSEED": "0", **self._addresses.environment}
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)  # noqa: S603

    def acknowledged(self) -> tuple[str, ...]:
        """Read what client processes know to have happened."""
        file = self._folder / "acknowledged"
        return tuple(file.read_text("utf-8").splitlines()) if file.exists() else ()

    async def acknowledges(self, count: int) -> None:
        """Wait until client processes know so many things to have happened."""
        await self.until(
            lambda: len(self.acknowledged()) >= count, f"clients are told {count} times that it has happened"
        )

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for a condition, as long as no worker ends by itself."""

        def is_so_or_worker_failed() -> bool:
            failed = [f"worker-{process.row.number}" for process in self.processes if process.has_failed]
            assert not failed, f"{failed} ended by themselves while this was waited for: {what}.\n{self.logs()}"
            return is_so()

        await until(is_so_or_worker_failed, what)

    async def commit(self, count: int) -> None:
        """Wait until the workers have committed so many turns in all."""
        await self.until(lambda: self._commits() >= count, f"{count} turns are committed")

    async def commit_more(self, count: int) -> None:
        """Wait until the workers have committed so many more turns."""
        await self.commit(self._commits() + count)

    async def kill(self, aim: Phase) -> str:
        """SIGKILL whichever worker comes first to a point, there; gives what was hit."""
        victim = await self.catch(aim)
        victim.kill()
        self._release()
        return self._count(victim)

    def kill_all(self) -> None:
        """SIGKILL every worker that is left."""
        for process in self.alive:
            process.kill()
            self._count(process)

    async def kill_any(self, chance: Random) -> str:
        """SIGKILL one worker wherever it is."""
        victim = chance.choice(self.alive)
        victim.kill()
        return self._count(victim)

    async def others_commit(self, one: Process) -> None:
        """Wait until a worker other than this one has committed a turn."""
        before = self._commits() - one.row.commits
        await self.until(lambda: self._commits() - one.row.commits > before, "another worker commits a turn")

    async def catch(self, aim: Phase, *, among: Iterable[Process] | None = None) -> Process:
        """Hold whichever worker comes first to a point, there; the others go on."""
        candidates = self.alive if among is None else list(among)
        for process in candidates:
            process.row.set_trap(aim)
        await self.until(lambda: any(one.row.caught_at is aim for one in candidates), f"a worker comes to {aim.name}")
        victim = next(process for process in candidates if process.row.caught_at is aim)
        for process in candidates:
            if process is not victim:
                process.row.set_trap(None)
        return victim

    def _release(self) -> None:
        for process in self.alive:
            process.row.set_trap(None)

    def _commits(self) -> int:
        return sum(process.row.commits for process in self.processes)

    def _count(self, victim: Process) -> str:
        hit = victim.what_is_hit()
        self.toll[hit] += 1
        return hit

    async def finish_workers(self) -> None:
        """Have every worker drain and end, well."""
        for process in self.alive:
            assert await process.finish() == 0, self.logs()

    async def verify(self, *, started: Iterable[str] = (), sent: Iterable[tuple[str, str]] = ()) -> Report:
        """Hold the hub against every oracle. No worker and no client may be at work.

        Args:
            started: Instance ids whose start returned.
            sent: Instance id and event id of each event whose sending returned.
        """
        assert not self.alive
        effects = _load.read_ledger(self._folder / "ledger")
        return await verify(
            self.client,
            Registry(_load.DEFINITIONS),
            expected=Expected(started=tuple(started), sent=tuple(sent), effects=effects),
            is_exact=True,
            is_quiet=True,
            quiet_wait_seconds=1.5 * self._settings.worker.lease_seconds,
        )

    def logs(self) -> str:
        """Give what the processes are at and what they said, for a test that failed."""
        alive = [f"worker-{process.row.number} is at: {process.what_is_hit()}" for process in self.alive]
        logs = [log for log in sorted(self._folder.glob("*.log")) if log.stat().st_size]
        return "\n".join([*alive, *(f"{log.name}:\n{log.read_text('utf-8')}" for log in logs)])

    async def explain(self) -> None:
        """Print what there is to know if workers are left: a test that failed does not come to its report."""
        print(self.logs())  # noqa: T201 - pytest shows it where the test failed
        if self.alive:
            self.kill_all()
            print(await self.verify())  # noqa: T201 - the same

    def end(self) -> None:
        """End every process that is left, and let go of the board."""
        for popen in (*(process.popen for process in self.processes), *self._clients):
            popen.kill()  # a stopped one too; one that has ended is left alone
            popen.wait(HANG_SECONDS)
            assert popen.stdin is not None
            popen.stdin.close()
        self._board.close()


@asynccontextmanager
async def torture(harness: Harness, addresses: Addresses, folder: Path, *, mutant: str = "") -> AsyncGenerator[Place]:
    """Open a hub for torture; whatever happens, no process is left behind.

    Args:
        harness: Of an empty backend.
        addresses: Those of the harness.
        folder: An empty one: for the board, the ledger and what the processes say.
        mutant: Name of a defect that the workers have; empty for none.
    """
    backend = await harness.open_backend()
    opened = OpenHub(backend.store, backend.queue, backend.committer, harness.environment, name=addresses.store)
    work = perdure.WorkerSettings(lease_seconds=max(LEASE_SECONDS, harness.moment))
    settings = perdure.Settings(store=addresses.store, queue=addresses.queue, worker=work)
    place = Place(perdure.Hub(opened, settings), addresses, settings, folder, mutant)
    try:
        yield place
    finally:
        try:
            await place.explain()
        finally:
            place.end()
