"""Level 9: S3 and SQS behind lines that drop, delay, double, cut and refuse, each with its own."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import pytest

pytest.importorskip("h11", reason="the proxy speaks HTTP through h11: perdure-conformance[wire]")

from _aws_harnesses import AwsHarness, location_of
from perdure_conformance.wire import S3, SQS, Dialect, HttpFaultProxy, WireFaults

from perdure import Event, Hub, Settings, Unavailable, WorkerSettings, activity, activity_info, orchestration
from perdure.authoring import Registry
from perdure.hub import OpenHub
from perdure.spi import Environment, SystemClock, SystemEntropy
from perdure.testing import Effect, Expected, verify
from perdure_aws import S3Objects, S3Store, SqsQueue
from perdure_aws._settings import read_place, read_settings

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path

    from perdure_conformance.wire import WireFault

    from perdure.spi import HistoryStore, WorkQueue

T = TypeVar("T")

WORKFLOWS = int(os.environ.get("PERDURE_WIRE_WORKFLOWS", "20"))
OPEN_AT_ONCE = 20
LEASE_SECONDS = 3.0
"""Short: what a lost answer to a receive was about is hidden for so long."""

HANG_SECONDS = 300.0 + WORKFLOWS

ledger: list[Effect] = []
"""What activities write down, before and after their effect."""

go: Event[int] = Event("go")


@contextmanager
def attempt() -> Generator[None]:
    """Write down one attempt of the running activity."""
    info = activity_info()
    ledger.append(Effect(info.idempotency_key, info.attempt, is_done=False))
    yield
    ledger.append(Effect(info.idempotency_key, info.attempt, is_done=True))


@activity
async def add(first: int, second: int) -> int:
    with attempt():
        return first + second


@activity
def double(value: int) -> int:
    with attempt():
        return value * 2


@orchestration
async def five_steps(number: int) -> int:
    total = await add(number, 1)
    total = await double(total)
    await asyncio.sleep(0.1)
    total += await go()
    return await add(total, 100)


def expected_of(number: int) -> int:
    """Tell what `five_steps(number)` gives when it is sent `number`."""
    return (number + 1) * 2 + number + 100


class WiredHarness(AwsHarness):
    """Each service through a line of its own. Set both before a client is opened."""

    s3_line = ""
    sqs_line = ""

    def make_store(self) -> HistoryStore:
        return S3Store(location_of(self.s3_line, self.prefix), self.environment)

    def make_queue(self) -> WorkQueue:
        return SqsQueue(location_of(self.sqs_line, self.prefix, scheme="sqs"), self.environment)


async def connected(harness: WiredHarness) -> Hub:
    """Connect one more process' worth to the hub."""
    backend = await harness.open_backend()
    opened = OpenHub(backend.store, backend.queue, backend.committer, harness.environment, name="wired")
    return Hub(opened, Settings(worker=WorkerSettings(lease_seconds=LEASE_SECONDS)))


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Call again while there is no answer, as clients are told to."""
    while True:
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(0.05)


async def run_one(client: Hub, number: int) -> None:
    """Start one workflow, send it its event, and compare its result."""
    run = await insist(lambda: client.start(five_steps(number), id=f"w-{number}", if_exists="return"))
    await insist(lambda: run.send(go, number, event_id=f"go-{number}"))
    assert await insist(lambda: run.result(timeout_seconds=HANG_SECONDS)) == expected_of(number)


async def run_all(client: Hub) -> None:
    """Run every workflow, some at a time."""
    places = asyncio.Semaphore(OPEN_AT_ONCE)

    async def in_turn(number: int) -> None:
        async with places:
            await run_one(client, number)

    async with asyncio.TaskGroup() as group:
        for number in range(WORKFLOWS):
            group.create_task(in_turn(number))


def line_to(endpoint: str, dialect: Dialect, faults: WireFaults) -> HttpFaultProxy:
    """Make a line to the emulator."""
    address = urlsplit(endpoint)
    assert address.hostname is not None
    assert address.port is not None
    return HttpFaultProxy(address.hostname, address.port, faults=faults, dialect=dialect)


def count(properties: list[tuple[str, object]], **met: Counter[WireFault]) -> None:
    """Put what happened on the lines into the properties of the test, and print it."""
    numbers = {
        f"{line}_{fault.name.lower()}": number for line, faults in met.items() for fault, number in faults.items()
    }
    numbers["faults"] = sum(numbers.values())
    # Not by `record_property`: beside --junitxml it warns, which is an error where warnings are.
    properties += [(f"perdure_count_wire_{name}", number) for name, number in numbers.items()]
    print(f"\n{WORKFLOWS} workflows, {numbers}, {len(ledger)} lines in the ledger")  # noqa: T201 - the numbers are the result


@pytest.mark.timeout(HANG_SECONDS + 60)
async def test_every_workflow_ends_well_whatever_happens_on_the_wire(
    endpoint: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A lost answer, a request done late or twice, a refusal: no result may be lost, none recorded twice."""
    ledger.clear()
    s3, sqs = WireFaults(seed=5), WireFaults(seed=6)
    async with (
        line_to(endpoint, S3, s3) as s3_line,
        line_to(endpoint, SQS, sqs) as sqs_line,
        WiredHarness(tmp_path / "hub") as harness,
    ):
        harness.s3_line, harness.sqs_line = s3_line.endpoint, sqs_line.endpoint
        client, first, second = [await connected(harness) for _ in range(3)]
        async with first.worker(five_steps, add, double), second.worker(five_steps, add, double):
            await run_all(client)
        s3.rate = sqs.rate = 0.0  # who looks for what was lost must see it
        expected = Expected(
            started=tuple(f"w-{number}" for number in range(WORKFLOWS)),
            sent=tuple((f"w-{number}", f"go-{number}") for number in range(WORKFLOWS)),
            effects=tuple(ledger),
        )
        report = await verify(
            client, Registry((five_steps, add, double)), expected=expected, is_exact=True, is_quiet=True
        )
    count(request.node.user_properties, s3=s3.met, sqs=sqs.met)

    assert report.ok, report
    assert report.statuses == {"Completed": WORKFLOWS}
    assert report.replayed_count == WORKFLOWS
    assert min(s3.met.total(), sqs.met.total()) >= WORKFLOWS // 4, "there was something to survive"


@pytest.mark.usefixtures("credentials")
async def test_an_answer_whose_headers_are_cut_is_no_answer() -> None:
    """Python takes the end of the connection for the end of the headers: an object would be there, and empty."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "0123456789abcdef0123456789abcdef"\r\nContent-Le')
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        location = location_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "hub")
        objects = S3Objects(read_place(location), read_settings(location), Environment(SystemClock(), SystemEntropy()))
        await objects.client.open()  # without the look at the bucket
        try:
            with pytest.raises(Unavailable):
                await objects.get("name")
        finally:
            await objects.aclose()
