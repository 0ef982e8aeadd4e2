"""The workloads that every system runs, and how they are timed: the same code drives all of them.

A system's script says how to run one workflow; this module runs many, watches the clock, checks every result and prints
one line of JSON. It needs nothing but Python, as each script runs in an environment of its own.

    W1  `count` workflows of 5 steps one after another, `open` outstanding: steps per second
    W2  one workflow at a time, start to result: p50 and p99 of 1 step, p50 of 5 steps
    W3  one workflow, `count` steps in parallel: seconds
    W4  one workflow, `count` steps one after another: steps per second
    W5  process start to first result in an empty folder, median of `count`: seconds
    W6  `count` workflows that each sleep 1 s durably, all at once: seconds

A step returns its input of 100 characters and does nothing else. One workflow ahead of the clock opens connections and
loads what is loaded late, except in W5.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

TEXT = "x" * 100
STEPS_PER_WORKFLOW = 5
SLEEP_SECONDS = 1.0
FIRST_RESULT_SECONDS_MAX = 120.0
FIRST = "first"
"""What a script is asked for to be measured by W5: run one workflow of one step, print its result, end."""


@dataclass(frozen=True, slots=True)
class System:
    """How one system, already running, runs one workflow; each call returns when the result is there.

    Attributes:
        chain: Run a workflow of so many steps, one after another; the result is what its last step returned.
        fan: Run a workflow of so many steps in parallel; the result is how many of them returned `TEXT`. None where
            the system cannot.
        nap: Run a workflow that sleeps so many seconds, and returns `TEXT`.
        processes: Ids of the processes that make it up; a driver that the system does not need is not among them.
    """

    chain: Callable[[int], Awaitable[str]]
    fan: Callable[[int], Awaitable[int]] | None
    nap: Callable[[float], Awaitable[str]]
    processes: tuple[int, ...]


Opened = Callable[[], AbstractAsyncContextManager[System]]
Figures = dict[str, float]


async def outstanding(run: Callable[[], Awaitable[str]], count: int, open_max: int) -> float:
    """Run many workflows, at most `open_max` at once.

    Returns:
        Seconds from the first start to the last result.
    """
    seats = asyncio.Semaphore(open_max)

    async def one() -> None:
        async with seats:
            check(await run())

    began = time.perf_counter()
    await asyncio.gather(*[one() for _ in range(count)])
    return time.perf_counter() - began


def check(result: str) -> None:
    """Refuse to measure what did not work.

    Raises:
        ValueError: The system returned something else: its numbers mean nothing, mend its script.
    """
    if result != TEXT:
        raise ValueError(f"A workflow returned {result!r:.200}, and not the text that it was given.")


async def many_chains(system: System, count: int, open_max: int) -> Figures:
    """W1."""
    seconds = await outstanding(lambda: system.chain(STEPS_PER_WORKFLOW), count, open_max)
    return rated(seconds, count * STEPS_PER_WORKFLOW)


async def one_at_a_time(system: System, count: int, _open_max: int) -> Figures:
    """W2."""
    began = time.perf_counter()
    single = [await latency_ms(system, 1) for _ in range(count)]
    several = [await latency_ms(system, STEPS_PER_WORKFLOW) for _ in range(count)]
    seconds = time.perf_counter() - began
    return {
        **rated(seconds, count * (1 + STEPS_PER_WORKFLOW)),
        "p50_ms": percentile(single, 50),
        "p99_ms": percentile(single, 99),
        "p50_five_steps_ms": percentile(several, 50),
    }


async def latency_ms(system: System, steps: int) -> float:
    """Time one workflow from its start to its result."""
    began = time.perf_counter()
    check(await system.chain(steps))
    return (time.perf_counter() - began) * 1e3


async def fan_out(system: System, count: int, _open_max: int) -> Figures:
    """W3."""
    assert system.fan is not None  # looked at before the system was warmed up
    began = time.perf_counter()
    returned = await system.fan(count)
    seconds = time.perf_counter() - began
    if returned != count:
        raise ValueError(f"{returned} of {count} parallel steps returned the text that they were given.")
    return rated(seconds, count)


async def long_chain(system: System, count: int, _open_max: int) -> Figures:
    """W4."""
    began = time.perf_counter()
    check(await system.chain(count))
    return rated(time.perf_counter() - began, count)


async def sleepers(system: System, count: int, open_max: int) -> Figures:
    """W6."""
    return {"seconds": await outstanding(lambda: system.nap(SLEEP_SECONDS), count, open_max)}


WORKLOADS: dict[str, Callable[[System, int, int], Awaitable[Figures]]] = {
    "W1": many_chains,
    "W2": one_at_a_time,
    "W3": fan_out,
    "W4": long_chain,
    "W6": sleepers,
}


def rated(seconds: float, steps: int) -> Figures:
    """Say how fast it was, as the figures of a script."""
    return {"seconds": seconds, "steps": steps, "steps_per_second": steps / seconds}


def percentile(values: list[float], percent: int) -> float:
    """Take the value that `percent` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def first_results(script: list[str], count: int) -> Figures:
    """Start the script in an empty folder, and wait until it has printed the first result; again, `count` times.

    Raises:
        ValueError: It printed something else.
    """
    seconds = []
    for _ in range(count):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as empty:
            began = time.perf_counter()
            with subprocess.Popen(script, cwd=empty, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                line = process.stdout.readline()  # whoever started this script bounds the time of all of it
                seconds.append(time.perf_counter() - began)
                process.wait(timeout=FIRST_RESULT_SECONDS_MAX)
            check(line.strip())
    return {"seconds": statistics.median(seconds)}


def resident_mib(processes: tuple[int, ...]) -> float:
    """Sum up the memory that processes hold now; shared pages count in each of them."""
    kib = 0
    for process in processes:
        answer = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
        kib += int(answer.stdout)
    return kib / 1024


def cpu_seconds(processes: tuple[int, ...]) -> float | None:
    """Sum up the CPU time that processes have used until now, None where the machine has no /proc to say so.

    Other load on the machine hardly changes it, so it compares what the clock cannot.
    """
    ticks = 0
    for process in processes:
        stat = Path(f"/proc/{process}/stat")
        if not stat.exists():
            return None
        fields = stat.read_text("utf-8").rpartition(")")[2].split()  # The name before it may hold spaces.
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main(name: str, variants: dict[str, Opened]) -> None:
    """Be the script of one system: `SCRIPT WORKLOAD --count COUNT --open OPEN`, one line of JSON on stdout.

    Args:
        name: The system.
        variants: Ways to write its workflows; the first is the default. Each starts the system in the current folder,
            and leaving it ends the system.
    """
    parser = argparse.ArgumentParser(description=f"One workload on {name}, in the current folder.")
    parser.add_argument("workload", choices=[*sorted([*WORKLOADS, "W5"]), FIRST])
    parser.add_argument("--count", type=int, default=100, help="how many workflows, steps or starts; see workloads.py")
    parser.add_argument("--open", type=int, default=50, help="most workflows outstanding at once (W1, W6)")
    parser.add_argument("--variant", choices=list(variants), default=next(iter(variants)))
    given = parser.parse_args()
    open_system = variants[given.variant]
    if given.workload == FIRST:
        asyncio.run(print_first(open_system))
        return
    if given.workload == "W5":
        script = [sys.executable, str(Path(sys.argv[0]).resolve()), FIRST, "--variant", given.variant]
        figures = first_results(script, given.count)
    else:
        figures = asyncio.run(timed(given.workload, open_system, given.count, given.open))
    print(json.dumps({"workload": given.workload, "system": name, "variant": given.variant, **figures}), flush=True)


async def print_first(open_system: Opened) -> None:
    """Print the result of one workflow on a system that was just opened."""
    async with open_system() as system:
        print(await system.chain(1), flush=True)  # At once: to close the system is not part of its first result.


async def timed(workload: str, open_system: Opened, count: int, open_max: int) -> Figures:
    """Run one workload on a fresh system.

    Raises:
        ValueError: A result was wrong, or the system has no such workload.
    """
    async with open_system() as system:
        if workload == "W3" and system.fan is None:
            raise ValueError("This system has no parallel steps in this variant: leave W3 out.")
        check(await system.chain(1))
        before = cpu_seconds(system.processes)
        figures = await WORKLOADS[workload](system, count, open_max)
        after = cpu_seconds(system.processes)
        if before is not None and after is not None and "steps" in figures:
            figures["cpu_ms_per_step"] = (after - before) * 1e3 / figures["steps"]
        return {**figures, "rss_mib": resident_mib(system.processes)}


def allow_open_files(wanted: int) -> None:
    """Let this process have so many files and connections open, as far as the system allows it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
