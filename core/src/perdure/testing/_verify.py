"""verify: read a whole hub and hold it against the oracles.

Reads only, except that a look into the queues receives messages and gives them back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from perdure import codec
from perdure.engine import fold, tasks_queue, turns_queue
from perdure.errors import Corrupt, TooNew
from perdure.events import TaskScheduled
from perdure.ids import Key
from perdure.spi import DeadLetters, Head, Missing, Query, QueueName, WorkerId, queue_class
from perdure.testing._oracles import Finding, check_history, check_replay
from perdure.testing._oracles_hub import (
    Effect,
    OnItsWay,
    Told,
    check_effects,
    check_events,
    check_families,
    check_stalled,
    check_work,
    count_repeated,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.authoring import Registry
    from perdure.client import Client
    from perdure.hub import OpenHub
    from perdure.records import TurnRecord
    from perdure.replay import Program
    from perdure.spi import Delivery, Envelope

__all__ = ["Expected", "Report", "verify"]

_LOOK_LEASE_SECONDS = 30.0
_DEAD_LETTERS_MAX = 10_000


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller knows of a hub from outside.

    Attributes:
        started: Instance ids whose `start` returned.
        sent: Instance id and event id of each event whose `send` returned.
        stalled: Instance ids that may be stalled.
        effects: Everything that activities wrote down outside the hub; None if they did not. If given, every activity
            of the hub must have written.
    """

    started: tuple[str, ...] = ()
    sent: tuple[tuple[str, str], ...] = ()
    stalled: frozenset[str] = frozenset()
    effects: tuple[Effect, ...] | None = None


class Report(msgspec.Struct, frozen=True):
    """What `verify` found. Print it, or assert `report.ok, report`.

    Attributes:
        findings: What must not be, by instance; empty if all is well.
        statuses: How many instances have each status.
        record_count: Records that were read.
        replayed_count: Instances whose code was run through their history.
        repeated_count: Attempts of activities that were begun again after a crash; not a finding, at least once is
            what is promised.
    """

    findings: tuple[Finding, ...]
    statuses: dict[str, int]
    record_count: int
    replayed_count: int
    repeated_count: int

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items())) or "none"
        counts = (
            f"{len(self.findings)} findings. Instances: {statuses}; {self.record_count} records, "
            f"{self.replayed_count} replayed, {self.repeated_count} attempts of activities repeated."
        )
        return "\n".join([counts, *(f"  {finding}" for finding in self.findings)])


async def verify(
    client: Client,
    registry: Registry | None = None,
    *,
    expected: Expected | None = None,
    is_exact: bool = False,
    is_quiet: bool = False,
    quiet_wait_seconds: float = 0.0,
) -> Report:
    """Read every history of a hub and look for what no crash may leave behind.

    Holds all histories in memory. While somebody works in the hub, only what holds at every moment is looked for.
    Once it is quiet, what the store's scans may be behind is waited out first, on the clock of the hub: whoever moves
    that clock by hand must do so meanwhile.

    Args:
        client: Of the hub, as `perdure.connect` gives it.
        registry: Code to replay the histories with; instances that it does not know are not replayed.
        expected: What the caller knows from outside.
        is_exact: Whether replay must also give equal inputs, options and results: only if the code has not changed
            since. Without, a replay is judged as a worker judges it.
        is_quiet: Whether no worker and no client is at work. Then the queues are looked into, by receiving what can be
            received and giving it back: delivery counts rise by one. What is delayed is not seen.
        quiet_wait_seconds: How long to wait for a further message before a queue counts as seen: longer than the leases
            of workers that died, and than the delays of what they passed on.

    Returns:
        Findings and counts.

    Raises:
        Unavailable: The hub does not answer; try again.
    """
    audit = _Audit(client._hub, registry, expected or Expected(), is_exact=is_exact)  # noqa: SLF001 - looks behind it
    if is_quiet:
        await audit.wait_for_scans()
    await audit.read_histories()
    if is_quiet:
        await audit.look_into_queues(quiet_wait_seconds)
    return audit.report()


class _Audit:
    """Collects findings, for one report."""

    def __init__(self, hub: OpenHub, registry: Registry | None, expected: Expected, *, is_exact: bool) -> None:
        self._hub = hub
        self._programs: dict[tuple[str, str | None], Program] = {
            (one.name, one.version): one.program for one in (registry.orchestrations() if registry else ())
        }
        self._expected = expected
        self._is_exact = is_exact
        self._told: dict[str, Told] = {}
        self._findings: list[Finding] = []
        self._statuses: Counter[str] = Counter()
        self._record_count = 0
        self._replayed_count = 0

    async def wait_for_scans(self) -> None:
        """Wait until scans show all that has happened (H8): no child of which only a scan tells may be left out."""
        lag_seconds = self._hub.store.capabilities.scan_lag_seconds
        if lag_seconds > 0:
            await self._hub.clock.sleep(lag_seconds)

    async def read_histories(self) -> None:
        """Judge each instance that a scan shows or whose start was acknowledged."""
        # A scan may be behind (H8); what was acknowledged must be there nevertheless (H3).
        keys = {summary.key async for summary in self._hub.store.scan(Query())} | set(self._expected.started)
        for key in sorted(keys):
            try:
                await self._read(Key(key))
            except (Corrupt, TooNew) as problem:
                self._find("H5", key, str(problem))

    async def _read(self, key: Key) -> None:
        head = await self._hub.store.read(key)
        if isinstance(head, Missing) and key in self._expected.started:
            self._find("R1", key, "its start returned, and it is not there")
        if not isinstance(head, Head):
            return  # purged, perhaps between the scan and this read
        self._statuses[head.summary.status] += 1
        self._record_count += len(head.records)
        records = [codec.decode_record(r.data, where=f"{key}: record {r.version}") for r in head.records]
        if not records or [(r.version, r.turn_id) for r in head.records] != [(r.version, r.turn_id) for r in records]:
            self._find("H5", key, "the store names its records otherwise than they do themselves")
            return
        self._told[key] = tell(key, records)
        found = check_history(key, records)
        self._findings.extend(found)
        if not found:  # a worker refuses a history like that, and does not sum it up
            self._check_summary(key, records, head)
        await self._check_payloads(key, records)

    def _check_summary(self, key: Key, records: list[TurnRecord], head: Head) -> None:
        try:
            summary = fold(key, records).summary()
        except Corrupt as problem:
            self._find("H5", key, str(problem))
        else:
            if summary != head.summary:
                self._find("H8", key, f"the stored summary is {head.summary}, the records say {summary}")

    async def _check_payloads(self, key: Key, records: list[TurnRecord]) -> None:
        """Bring payloads in line, which reads and checks each, and replay what came of it."""
        try:
            whole = [await self._hub.inline_record(key, record) for record in records]
        except Corrupt as problem:
            self._find("R16", key, str(problem))
            return
        started = self._told[key].started
        program = self._programs.get((started.name, started.version)) if started is not None else None
        if program is not None:
            self._replayed_count += 1
            self._findings.extend(check_replay(key, whole, program, exact=self._is_exact))

    async def look_into_queues(self, wait_seconds: float) -> None:
        """Hold what is open against what is on its way."""
        on_its_way = OnItsWay(is_atomic=self._hub.committer.capabilities.atomic)
        held: list[Delivery] = []
        now = self._hub.clock.now()
        queues = self._queues()
        try:
            async with asyncio.TaskGroup() as group:
                for queue in queues:
                    group.create_task(self._receive_all(queue, wait_seconds, held))
        finally:
            await self._hub.queue.abandon(held)
        for delivery in held:
            self._note(on_its_way, delivery.envelope)
        self._findings += check_work(self._told, on_its_way, now)
        self._findings += check_families(self._told, on_its_way)
        self._findings += check_events(self._told, self._expected.sent, on_its_way)
        await self._look_at_dead_letters(queues)

    def _note(self, on_its_way: OnItsWay, envelope: Envelope) -> None:
        try:
            message = codec.decode_message(envelope.body, where=f"message {envelope.message_id}")
        except (Corrupt, TooNew) as problem:
            self._find("H5", envelope.group, str(problem))
        else:
            on_its_way.add(envelope.group, message)

    def _queues(self) -> list[QueueName]:
        """Name the queues that open instances and their open activities live in."""
        queues: set[QueueName] = set()
        for told in self._told.values():
            if told.outcome is None and told.started is not None:
                queues.add(turns_queue(told.started.queue))
            queues.update(tasks_queue(task.queue) for _, task in told.open() if isinstance(task, TaskScheduled))
        return sorted(queues)

    async def _receive_all(self, queue: QueueName, wait_seconds: float, held: list[Delivery]) -> None:
        limits = self._hub.queue.capabilities[queue_class(queue)]
        lease_seconds = min(_LOOK_LEASE_SECONDS + wait_seconds, limits.lease_seconds_max)
        worker = WorkerId(f"verify-{self._hub.new_id()}")
        while more := await self._hub.queue.receive(
            queue, limit=limits.receive_batch_max, lease_seconds=lease_seconds, wait_seconds=wait_seconds, worker=worker
        ):
            held.extend(more)

    async def _look_at_dead_letters(self, queues: Iterable[QueueName]) -> None:
        if not isinstance(self._hub.queue, DeadLetters):
            return
        for queue in queues:
            for letter in await self._hub.queue.peek_dead_letters(queue, limit=_DEAD_LETTERS_MAX):
                told = self._told.get(letter.envelope.group)
                if told is not None and told.outcome is None:
                    self._find("Q7", told.key, f"{letter.envelope.message_id} is a dead letter: {letter.reason}")

    def report(self) -> Report:
        """Add what needs no queue, and sum up."""
        effects = self._expected.effects
        findings = [*self._findings, *check_stalled(self._told, self._expected.stalled)]
        if effects is not None:
            findings += check_effects(self._told, effects)
        return Report(
            tuple(sorted(findings, key=lambda finding: (finding.instance, finding.code, finding.text))),
            dict(self._statuses),
            self._record_count,
            self._replayed_count,
            count_repeated(effects or ()),
        )

    def _find(self, code: str, instance: str, text: str) -> None:
        self._findings.append(Finding(code, instance, text))
