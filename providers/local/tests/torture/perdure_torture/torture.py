"""Torture: real worker processes on one hub, killed, stopped and started again; afterwards everything must be right.

    async with torture(Setting(url="sqlite:…"), folder) as place:
        place.start_worker()
        await place.client.start(errand(1), id="errand-1")
        await place.kill(Phase.TRANSACTION)          # SIGKILL while the write lock is held; place.toll counts
        ...
        report = await place.verify(started=..., sent=...)

Nothing here knows a provider: a URL and the numbers of a `Setting` are all. Waits are on conditions, with a limit that
only a hang reaches.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import perdure
from perdure.authoring import Registry
from perdure.testing import Expected, Report, verify
from perdure_torture import client as client_process
from perdure_torture import load, worker
from perdure_torture.board import Board, Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from random import Random

    from perdure_torture.board import Row

HANG_SECONDS = 120.0
LOOK_AGAIN_SECONDS = 0.002

UNFINISHED = frozenset(
    (
        "turn",
        "commit not begun",
        "transaction",
        "outbox not begun",
        "outbox not sent",
        "activity",
        "effect not recorded",
    )
)
"""Hits that leave a turn uncommitted or its outbox unsent, or an activity without a recorded outcome: what torture is
about. Not among them: a commit whose answer was under way, for it may have been through."""

_CAUGHT_AT = {
    Phase.TURN: "turn",
    Phase.COMMIT: "commit not begun",
    Phase.TRANSACTION: "transaction",
    Phase.COMMITTED: "commit not known",
    Phase.ACTIVITY: "activity",
    Phase.RECORDING: "effect not recorded",
    Phase.APPENDED: "outbox not begun",
    Phase.SENDING: "outbox not sent",
    Phase.SENT: "inputs not completed",
}


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Which hub is tortured, and how patient its workers are.

    Attributes:
        url: Of the hub, or of its store.
        queue: URL of the queue, where it is of another provider.
        lease_seconds: Short, so that what a dead worker held is soon taken over.
        is_outbox: Have Steps carried out one part after the other, although this hub could do them as a whole.
        mutant: Name of a defect that the workers have; empty for none.
    """

    url: str
    queue: str | None = None
    lease_seconds: float = 1.0
    is_outbox: bool = False
    mutant: str = ""

    def settings(self) -> perdure.Settings:
        """Spell it out."""
        work = perdure.WorkerSettings(lease_seconds=self.lease_seconds)
        return perdure.Settings(hub=self.url, queue=self.queue, worker=work)


class Process:
    """One worker process that was started here, and its row of the board."""

    def __init__(self, popen: subprocess.Popen[bytes], row: Row) -> None:
        self.popen = popen
        self.row = row

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or could if it were not stopped."""
        return self.popen.poll() is None

    def kill(self) -> None:
        """End it without warning, and wait until it is gone."""
        self.popen.kill()
        self.popen.wait(HANG_SECONDS)
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    def pause(self) -> None:
        """Stop it where it is, as a machine that is suspended would."""
        os.kill(self.popen.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.popen.pid, signal.SIGCONT)

    async def finish(self) -> int:
        """Have it drain and end; gives its exit code."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        await until(lambda: not self.is_alive, "a worker ends when it is told to")
        return self.popen.returncode

    def what_is_hit(self) -> str:
        """Say what the process is in the middle of; of one that was killed: what the kill has hit."""
        row = self.row
        unfinished_turns = row.count(Phase.TURN) - row.count(Phase.COMMIT) - row.count(Phase.COMMITTED)
        if row.caught_at is not None:
            return _CAUGHT_AT[row.caught_at]
        if row.count(Phase.COMMIT) and row.count(Phase.TRANSACTION):
            return "commit under way"  # it may be on disk already
        if unfinished_turns > 0:
            return "turn"
        if row.count(Phase.ACTIVITY):
            return "activity"
        if row.count(Phase.COMMIT) or row.count(Phase.COMMITTED):
            return "commit not known"
        return "nothing" if row.is_ready else "its start"


class Place:
    """One hub under torture.

    Attributes:
        client: Of the hub, in this process.
        processes: Worker processes, dead ones included, by their rows.
        toll: How many kills have hit what.
    """

    def __init__(self, setting: Setting, folder: Path, client: perdure.Hub) -> None:
        self.setting = setting
        self.client = client
        self.processes: list[Process] = []
        self.toll: Counter[str] = Counter()
        self._folder = folder
        self._board = Board(folder / "board")
        self._clients: list[subprocess.Popen[bytes]] = []

    def traps(self, *wanted: Phase) -> list[Phase]:
        """List those of the wanted phases that a worker of this hub can be caught in; of all if none are named."""
        is_atomic = self.client._hub.committer.capabilities.atomic
        has_probe = self.setting.url.partition(":")[0] in worker.PROBES
        possible = {
            Phase.TRANSACTION: is_atomic and has_probe,
            Phase.APPENDED: not is_atomic,
            Phase.SENDING: not is_atomic,
            Phase.SENT: not is_atomic,
        }
        return [phase for phase in (wanted or Phase) if possible.get(phase, True)]

    @property
    def alive(self) -> list[Process]:
        """The workers that have not ended."""
        return [process for process in self.processes if process.is_alive]

    def start_worker(self) -> Process:
        """Start one more worker process."""
        row = self._board.row(len(self.processes))
        orders = worker.Orders(
            settings=self.setting.settings(),
            board=str(self._folder / "board"),
            row=row.number,
            ledger=str(self._folder / "ledger"),
            is_outbox=self.setting.is_outbox,
            mutant=self.setting.mutant,
        )
        process = Process(self._spawn("worker", orders, f"worker-{row.number}"), row)
        self.processes.append(process)
        return process

    def start_client(self, ids: Iterable[str], *, collector: str = "") -> subprocess.Popen[bytes]:
        """Start a process that starts or sends, see `client.Orders`; `acknowledged` tells how far it came."""
        orders = client_process.Orders(
            settings=self.setting.settings(),
            acknowledged=str(self._folder / "acknowledged"),
            ids=tuple(ids),
            collector=collector,
            is_outbox=self.setting.is_outbox,
        )
        self._clients.append(self._spawn("client", orders, f"client-{len(self._clients)}"))
        return self._clients[-1]

    def _spawn(self, module: str, orders: msgspec.Struct, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "perdure_torture", module, msgspec.json.encode(orders).decode()]
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)

    def acknowledged(self) -> tuple[str, ...]:
        """Read what client processes know to have happened."""
        file = self._folder / "acknowledged"
        return tuple(file.read_text("utf-8").splitlines()) if file.exists() else ()

    async def acknowledges(self, count: int) -> None:
        """Wait until client processes know so many things to have happened."""
        await until(lambda: len(self.acknowledged()) >= count, f"clients are told {count} times that it has happened")

    async def commit(self, count: int) -> None:
        """Wait until the workers have committed so many turns in all."""
        await until(lambda: self._commits() >= count, f"{count} turns are committed")

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
        await until(lambda: self._commits() - one.row.commits > before, "another worker commits a turn")

    async def catch(self, aim: Phase, *, among: Iterable[Process] | None = None) -> Process:
        """Hold whichever worker comes first to a point, there; the others go on."""
        candidates = self.alive if among is None else list(among)
        for process in candidates:
            process.row.set_trap(aim)
        await until(lambda: any(one.row.caught_at is aim for one in candidates), f"a worker comes to {aim.name}")
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

    async def verify(
        self, *, started: Iterable[str] = (), sent: Iterable[tuple[str, str]] = (), stalled: Iterable[str] = ()
    ) -> Report:
        """Hold the hub against every oracle. No worker and no client may be at work.

        Args:
            started: Instance ids whose start returned.
            sent: Instance id and event id of each event whose sending returned.
            stalled: Instance ids that may be stalled for now.
        """
        assert not self.alive
        effects = load.read_ledger(self._folder / "ledger")
        return await verify(
            self.client,
            Registry(load.DEFINITIONS),
            expected=Expected(started=tuple(started), sent=tuple(sent), stalled=frozenset(stalled), effects=effects),
            is_exact=True,
            is_quiet=True,
            quiet_wait_seconds=1.5 * self.setting.lease_seconds,
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
async def torture(setting: Setting, folder: Path) -> AsyncIterator[Place]:
    """Open a hub for torture; whatever happens, no process is left behind.

    Args:
        setting: Which hub.
        folder: An empty one: for the board, the ledger and what the processes say.
    """
    async with perdure.connect(settings=setting.settings()) as client:
        if setting.is_outbox:
            worker.use_outbox(client._hub)
        place = Place(setting, folder, client)
        try:
            yield place
        finally:
            try:
                await place.explain()
            finally:
                place.end()


async def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for a condition; after two minutes it counts as never."""
    deadline = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"It did not come to pass that {what}."
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
