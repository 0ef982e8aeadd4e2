"""`perdure demo`: a process is started, its worker killed in the middle, and it is finished by another one.

Everything is real: worker processes, SIGKILL, a hub on disk, and a ledger that plays the outside world. What the demo
says is checked first; if a check fails, the exit code is 1.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import click

import perdure
from perdure import events
from perdure.cli._output import glyphs, screen_width, write_lines
from perdure.cli._page import Screen, page, waits_for
from perdure.cli._shell import FAILED, Command
from perdure.cli._story import tell
from perdure.cli._target import call_with, find_orchestration
from perdure.cli._timeline import STEPS_MAX
from perdure.config import load_settings

__all__ = ["demo"]

SECTIONS = {
    "Examples": (
        "perdure demo",
        "perdure demo --folder my-demo",
        "perdure demo --hub s3://bucket/demo?region=eu-central-1",
    )
}

PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 5
"""Short: where the death of a process is not seen, as in a cloud, its work is free when its lease has ended."""
ISSUED, NOTIFIED = "invoice issued", "customer notified"


@click.command(cls=Command, sections=SECTIONS)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to put the example and its hub: a folder that does not exist yet. Default: one in the temporary files.",
)
@click.option("--hub", metavar="URL", help="Where the orders are kept, instead of a hub in that folder.")
def demo(folder: Path | None, hub: str | None) -> int:
    """Watch a process survive the death of its worker.

    Issues invoices for real orders, kills the worker with SIGKILL between issuing and notifying, finishes with a new
    worker, and checks that every invoice was issued once. Takes a few seconds.
    """
    place = _Place.make(folder, hub)
    return asyncio.run(_Demo(place).play())


@dataclass(frozen=True, slots=True)
class _Place:
    """The demo's folder: the example's code and orders, the hub, and the ledger of the outside world.

    Attributes:
        folder: Where it is.
        hub_url: Where the orders are kept.
        suffix: What their ids end with, so that they are new to a hub that others use.
    """

    folder: Path
    hub_url: str
    suffix: str

    @classmethod
    def make(cls, folder: Path | None, hub: str | None) -> _Place:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="perdure-demo-"))
        else:
            folder = folder.absolute()
            if folder.exists():
                raise perdure.Misuse(f"{folder} exists already: name a folder that does not, or leave --folder out.")
            folder.mkdir(parents=True)
        with as_file(files("perdure.cli") / "invoicing") as example:
            shutil.copy(example / "invoicing.py", folder)
            shutil.copytree(example / "orders", folder / "orders")
        if hub is None:
            return cls(folder, f"sqlite:{folder / 'hub'}", "")
        return cls(folder, load_settings(hub=hub).hub, f"-{secrets.token_hex(3)}")

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    def order_files(self) -> dict[str, Path]:
        """List the orders, by instance id."""
        return {f"order-{path.stem}{self.suffix}": path for path in sorted((self.folder / "orders").glob("*.json"))}

    def happened(self, what: str) -> Counter[str]:
        """Count what the outside world saw of one kind, by order."""
        lines = self.ledger.read_text("utf-8").splitlines() if self.ledger.exists() else []
        entries = [json.loads(line) for line in lines]
        return Counter(f"order-{entry['order']}{self.suffix}" for entry in entries if entry["what"] == what)


class _Demo:
    """Plays the demo and keeps count of what did not hold."""

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._failed = 0
        self._workers: list[subprocess.Popen[bytes]] = []

    async def play(self) -> int:
        settings = load_settings(hub=self._place.hub_url)
        try:
            async with perdure.connect(settings=settings) as hub:
                await self._first_half(hub)
                await self._second_half(hub)
        finally:
            self._end_workers()
        self._say_what_next()
        return FAILED if self._failed else 0

    async def _first_half(self, hub: perdure.Hub) -> None:
        orders = self._place.order_files()
        first = self._begin_worker()
        await self._start(hub)
        click.echo(f"Started {len(orders)} orders; a worker (process {first.pid}) issues the invoices …")
        for instance_id in orders:
            await self._wait_until_issued(hub, instance_id, first)
        first.kill()
        first.wait()
        click.echo(
            f"The store has every invoice on record: killed the worker with SIGKILL, exit status {first.returncode}."
        )
        self._check("no customer was notified yet", not self._place.happened(NOTIFIED))
        statuses = [(await (await hub.get(instance_id)).summary()).status for instance_id in orders]
        self._check("every order is on record, unfinished", statuses == ["Running"] * len(orders))
        for instance_id in orders:
            history = await hub.history(instance_id)
            click.echo(f"      {instance_id} waits for {', '.join(waits_for(tell(history.records), time.time()))}")

    async def _second_half(self, hub: perdure.Hub) -> None:
        orders = self._place.order_files()
        second = self._begin_worker()
        click.echo(f"A new worker (process {second.pid}) takes over …")
        for instance_id, path in orders.items():
            run = await hub.get(instance_id)
            invoice = await run.result(timeout_seconds=PATIENCE_SECONDS)
            self._check(f"{instance_id} completed with {invoice['number']}", invoice["order"] == path.stem)
        self._check(
            f"the outside world saw each of {len(orders)} invoices issued once, over both workers",
            self._place.happened(ISSUED) == dict.fromkeys(orders, 1),
        )
        self._check("and each customer notified", set(self._place.happened(NOTIFIED)) == set(orders))
        first_id = min(orders)
        history = await hub.history(first_id)
        click.echo()
        screen = Screen(screen_width(), glyphs=glyphs(), steps_max=STEPS_MAX)
        write_lines(page(history.summary, tell(history.records), now=time.time(), screen=screen))

    def _begin_worker(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "perdure", "worker", "invoicing", f"--hub={self._place.hub_url}"]
        with (self._place.folder / "worker.log").open("ab") as log:
            environment = {
                **os.environ,
                "PYTHONHASHSEED": "0",
                "INVOICING_LEDGER": str(self._place.ledger),
                "PERDURE_WORKER_LEASE_SECONDS": str(LEASE_SECONDS),
            }
            worker = subprocess.Popen(command, cwd=self._place.folder, env=environment, stdout=log, stderr=log)  # noqa: S603
        self._workers.append(worker)
        return worker

    async def _start(self, hub: perdure.Hub) -> None:
        sys.path.insert(0, str(self._place.folder))
        definition, _ = find_orchestration("invoicing:invoicing")
        for instance_id, path in self._place.order_files().items():
            await hub.start(call_with(definition, str(path)), id=instance_id)

    async def _wait_until_issued(self, hub: perdure.Hub, instance_id: str, worker: subprocess.Popen[bytes]) -> None:
        """Wait until the store says so: not the worker, which is about to die."""
        until = time.monotonic() + PATIENCE_SECONDS
        history = await hub.history(instance_id)
        while not any(isinstance(event, events.TaskCompleted) for _, event in history.events()):
            if worker.poll() is not None or time.monotonic() > until:
                raise click.ClickException(f"the worker issued no invoice; see {self._place.folder / 'worker.log'}")
            await hub.changed(instance_id, history, 0.5)
            history = await hub.history(instance_id)

    def _check(self, what: str, holds: bool) -> None:  # noqa: FBT001 - a claim and whether it holds
        self._failed += not holds
        click.secho(f"  {'ok' if holds else 'NOT SO'}: {what}", fg="green" if holds else "red")

    def _end_workers(self) -> None:
        for worker in self._workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _say_what_next(self) -> None:
        folder = shlex.quote(str(self._place.folder))
        hub = shlex.quote(self._place.hub_url if self._place.suffix else "sqlite:hub")
        what = "The code" if self._place.suffix else "The hub, the code"
        click.echo(f"\n{what} and the ledger are in {folder}. Try next:")
        for line in (
            f"cd {folder}",
            "cat invoicing.py ledger.jsonl",
            f"perdure list --hub {hub}",
            f"perdure history {min(self._place.order_files())} --hub {hub}",
        ):
            click.echo(f"  {line}")
