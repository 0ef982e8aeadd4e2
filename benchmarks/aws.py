"""What a hub on S3 + SQS asks of AWS and of its own machine: `python benchmarks/aws.py --workflows 1000`.

Starts the emulator ministack, eight workers in four processes, and a client in this one, which runs workflows of five
steps. Shows requests and CPU; throughput is the emulator's, and says nothing of AWS. Afterwards every history is read:
a result that was lost, or recorded twice, makes the exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import TYPE_CHECKING, Any, Final

import boto3
from _python import environment
from perdure_conformance.emulators import AWS_TEST_ENVIRONMENT, ministack

import perdure
from perdure import activity, activity_info, orchestration
from perdure.authoring import Registry
from perdure.testing import Effect, Expected, verify
from perdure_aws import _client

if TYPE_CHECKING:
    from perdure.testing import Report

BUCKET = "perdure-bench"
REGION: Final = "eu-central-1"
PROCESSES, WORKERS_EACH, STEPS, OPEN_AT_ONCE = 4, 2, 5, 50
DATA = "x" * 100
RESULT_SECONDS_MAX, STOP_SECONDS_MAX = 600.0, 60.0

ledger: list[Effect] = []
"""What the activities of this process have done."""


@activity
async def step(data: str) -> str:
    """Do nothing but write down that it was done."""
    info = activity_info()
    ledger.append(Effect(info.idempotency_key, info.attempt, is_done=False))
    ledger.append(Effect(info.idempotency_key, info.attempt, is_done=True))
    return data


@orchestration
async def five_steps(data: str) -> str:
    """Run one step after the other."""
    for _ in range(STEPS):
        data = await step(data)
    return data


# ── one process ──────────────────────────────────────────────────────────────────────────────────────────────────────


class SdkTime:
    """CPU that this process spends within calls of the SDK: botocore, and what it stands on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()
        send = _client._Shared.send  # noqa: SLF001 - where every request passes

        def timed(shared: _client._Shared, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
            began = thread_time()
            try:
                return send(shared, operation, arguments)
            finally:
                with self._lock:
                    self.seconds += thread_time() - began

        _client._Shared.send = timed  # type: ignore[assignment,method-assign] # noqa: SLF001


def requests_of(who: str, *hubs: perdure.Hub) -> Counter[str]:
    """Sum what connections have asked, by who asked, service and operation."""
    asked: Counter[str] = Counter()
    for hub in hubs:
        opened: Any = hub._hub  # noqa: SLF001 - below what applications see
        for service, counts in (("s3", opened.store.requests), ("sqs", opened.queue.requests)):
            asked.update({f"{who} {service}:{operation}": count for operation, count in counts.items()})
    return asked


async def work(url: str) -> dict[str, Any]:
    """Run workers until stdin ends, and tell what they have done."""
    sdk, began = SdkTime(), process_time()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    async with AsyncExitStack() as hubs:
        connected = [await hubs.enter_async_context(perdure.connect(url)) for _ in range(WORKERS_EACH)]
        async with AsyncExitStack() as workers:
            for hub in connected:
                await workers.enter_async_context(hub.worker(five_steps, step))
            await ended.wait()
        requests = requests_of("workers", *connected)
    cpu = process_time() - began
    return {"cpu_seconds": cpu, "sdk_cpu_seconds": sdk.seconds, "requests": requests, "effects": ledger}


# ── all of them ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def run_workflows(hub: perdure.Hub, count: int) -> tuple[str, ...]:
    """Run so many, some at a time; gives their ids."""
    gate = asyncio.Semaphore(OPEN_AT_ONCE)

    async def run(number: int) -> str:
        async with gate:
            started = await hub.start(five_steps(DATA), id=f"w-{number}")
            if await started.result(timeout_seconds=RESULT_SECONDS_MAX) != DATA:
                raise RuntimeError(f"{started.id} gave another result than its steps.")
            return started.id

    return tuple(await asyncio.gather(*map(run, range(count))))


async def measure(url: str, count: int) -> tuple[dict[str, Any], Report]:
    """Measure once."""
    sdk = SdkTime()
    processes = [start_process(url) for _ in range(PROCESSES)]
    try:
        async with perdure.connect(url) as hub:
            began, computed = perf_counter(), process_time()
            started = await run_workflows(hub, count)
            seconds, computed = perf_counter() - began, process_time() - computed
            requests, in_sdk = requests_of("client", hub), sdk.seconds
            told = [await asyncio.to_thread(finish, process) for process in processes]
            effects = tuple(Effect(*effect) for each in told for effect in each["effects"])
            expected = Expected(started=started, effects=effects)
            report = await verify(hub, Registry((five_steps, step)), expected=expected, is_exact=True, is_quiet=True)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for each in told:
        requests.update(each["requests"])
    computed += sum(each["cpu_seconds"] for each in told)
    in_sdk += sum(each["sdk_cpu_seconds"] for each in told)
    return numbers_of(count, seconds, computed, in_sdk, requests), report


def start_process(url: str) -> subprocess.Popen[bytes]:
    """Start a process with its workers."""
    command = [sys.executable, __file__, "--worker", url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())


def finish(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Have a worker process end, and read what it tells.

    Raises:
        RuntimeError: It failed. Do: read what it wrote.
    """
    output, _ = process.communicate(timeout=STOP_SECONDS_MAX)
    if process.returncode:
        raise RuntimeError(f"A worker process ended with status {process.returncode}; see what it wrote above.")
    told: dict[str, Any] = json.loads(output)
    return told


def numbers_of(count: int, seconds: float, cpu: float, in_sdk: float, requests: Counter[str]) -> dict[str, Any]:
    """Turn sums into what is told."""
    return {
        "workflows": count,
        "workers": PROCESSES * WORKERS_EACH,
        "processes": PROCESSES,
        "seconds": seconds,
        "requests_per_workflow": {name: asked / count for name, asked in sorted(requests.items())},
        "cpu_ms_per_workflow": 1_000 * cpu / count,
        "cpu_ms_per_request": 1_000 * cpu / requests.total(),
        "sdk_share_of_cpu": in_sdk / cpu,
    }


def use_test_credentials() -> None:
    """Let the SDK of this process and its children find the credentials of tests only."""
    for name, value in AWS_TEST_ENVIRONMENT.items():
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value


def parse_arguments() -> argparse.Namespace:
    """Read the command line; a wrong one ends the program with a message."""
    parser = argparse.ArgumentParser(description="Measure what a hub on S3 + SQS asks of AWS and of this machine.")
    parser.add_argument("--workflows", type=int, default=1_000, help="of five steps, in all (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too; - is stdout, without the text")
    parser.add_argument("--worker", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workflows < 1:
        parser.error(f"--workflows {options.workflows}: give 1 or more.")
    return options


def publish(numbers: dict[str, Any], report: Report, json_place: str | None) -> None:
    """Show the numbers, and what the oracles found."""
    text = json.dumps(numbers | {"findings": list(map(str, report.findings))}, indent=2)
    if json_place == "-":
        print(text)
        return
    print(f"{numbers['workflows']} workflows of {STEPS} steps in {numbers['seconds']:.1f} s of the emulator's time")
    for name, count in numbers["requests_per_workflow"].items():
        print(f"  {name:36}{count:8.2f} a workflow")
    print(f"CPU of client and workers {numbers['cpu_ms_per_workflow']:8.1f} ms a workflow")
    print(f"                          {numbers['cpu_ms_per_request']:8.2f} ms a request")
    print(f"of it within the SDK      {100 * numbers['sdk_share_of_cpu']:8.0f} %")
    print(report)
    if json_place:
        Path(json_place).write_text(f"{text}\n", "utf-8")


def main() -> int:
    """Measure and print; give the exit status."""
    options = parse_arguments()
    if options.worker:
        print(json.dumps(asyncio.run(work(options.worker))))
        return 0
    use_test_credentials()
    with tempfile.TemporaryDirectory() as folder, ministack(Path(folder)) as endpoint:
        s3 = boto3.session.Session().client("s3", region_name=REGION, endpoint_url=endpoint)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        url = f"s3://{BUCKET}/bench?region={REGION}&endpoint={endpoint}"
        numbers, report = asyncio.run(measure(url, options.workflows))
    publish(numbers, report, options.json)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
