"""How fast the Service Bus emulator is: `python benchmarks/servicebus_emulator.py`.

The emulator runs in a process of its own, and so does each client: the unmodified, asynchronous Azure SDK, which sends
lists of messages and, at the same time, receives and completes them one by one. The SDK needs most of the time: more
clients than one show what the emulator can do. Nothing is judged; an answer that is wrong ends the program.

    python benchmarks/servicebus_emulator.py --messages 20000 --clients 2 --json -
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from _memory import resident_bytes
from _python import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST_LENGTH = 100
"""Messages of one send, and the most of one receive."""

BODY = b"x" * 100
STOP_SECONDS_MAX = 10.0
STARTS = 5


def parse_arguments() -> argparse.Namespace:
    """Read the command line; a wrong one ends the program with a message."""
    parser = argparse.ArgumentParser(description="Measure the Service Bus emulator on this machine.")
    parser.add_argument("--messages", type=int, default=20_000, help="in all (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=2, help="client processes (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too; - is stdout, without the text")
    parser.add_argument("--client", metavar="CONNECTION_STRING", help=argparse.SUPPRESS)
    parser.add_argument("--queue", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.messages < 1 or options.clients < 1:
        parser.error("--messages and --clients must be 1 or more.")
    return options


# ── the emulator ─────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def emulator(queues: int, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """Run the emulator's command: its process, its connection string, and the seconds until it was there."""
    config = folder / "config.json"
    named = [{"Name": f"q{number}", "Properties": {"LockDuration": "PT5M"}} for number in range(queues)]
    config.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "bench", "Queues": named}]}}), "utf-8")
    command = [sys.executable, "-m", "perdure_servicebus_emulator", "--port", "0", "--config", str(config)]
    began = perf_counter()
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        yield process, _connection_string(process), perf_counter() - began
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        finally:
            process.kill()


def _connection_string(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if "Endpoint=" in line:
            return line[line.index("Endpoint=") :].strip()
    raise RuntimeError(f"The emulator ended with status {process.wait()}; see what it wrote above.")


# ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def client(connection_string: str, queue: str, count: int) -> dict[str, float]:
    """Send so many messages, receive and complete them, and tell how long it took."""
    from azure.servicebus.aio import ServiceBusClient  # noqa: PLC0415 - The other processes do without.

    async with ServiceBusClient.from_connection_string(connection_string) as service:
        sender, receiver = service.get_queue_sender(queue), service.get_queue_receiver(queue)
        async with sender, receiver:
            began, computed = perf_counter(), process_time()
            _, received = await asyncio.gather(_send(sender, count), _receive(receiver, count))
            seconds, computed = perf_counter() - began, process_time() - computed
    if received != Counter(str(number) for number in range(count)):
        raise RuntimeError(
            f"{queue}: sent {count} messages, received {received.total()}, {len(received)} of them once."
        )
    return {"seconds": seconds, "client_cpu_seconds": computed}


async def _send(sender: Any, count: int) -> None:
    from azure.servicebus import ServiceBusMessage  # noqa: PLC0415 - See `client`.

    for begin in range(0, count, LIST_LENGTH):
        numbers = range(begin, min(begin + LIST_LENGTH, count))
        await sender.send_messages([ServiceBusMessage(BODY, message_id=str(number)) for number in numbers])


async def _receive(receiver: Any, count: int) -> Counter[str]:
    received: Counter[str] = Counter()
    while received.total() < count:
        messages = await receiver.receive_messages(LIST_LENGTH, max_wait_time=5)
        await asyncio.gather(*[receiver.complete_message(message) for message in messages])
        received.update(message.message_id for message in messages)
    return received


# ── measurements ─────────────────────────────────────────────────────────────────────────────────────────────────────


def measure(messages: int, clients: int, folder: Path) -> dict[str, float]:
    """Measure everything once; starts several times, of which the median counts."""
    starts, idle = [], 0
    began = _cpu_of_ended_children()
    for _ in range(STARTS):
        with emulator(1, folder) as (process, _, seconds):
            starts.append(seconds)
            idle = resident_bytes(process.pid)
    cpu_of_start = (_cpu_of_ended_children() - began) / STARTS
    each = messages // clients
    with emulator(clients, folder) as (process, connection_string, _):
        results = _run_clients(connection_string, clients, each)
        after = resident_bytes(process.pid)
        began = _cpu_of_ended_children()  # From here on only the emulator ends.
    cpu = _cpu_of_ended_children() - began - cpu_of_start
    slowest = max(result["seconds"] for result in results)
    return {
        "messages_per_second": each * clients / slowest,
        "emulator_cpu_ms_per_message": cpu / (each * clients) * 1000,
        "client_cpu_ms_per_message": sum(result["client_cpu_seconds"] for result in results) / (each * clients) * 1000,
        "start_seconds": statistics.median(starts),
        "idle_rss_mib": idle / 2**20,
        "rss_mib": after / 2**20,
        "messages": each * clients,
        "clients": clients,
    }


def _cpu_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run_clients(connection_string: str, clients: int, each: int) -> list[dict[str, float]]:
    command = [sys.executable, __file__, "--client", connection_string, "--messages", str(each)]
    processes = [
        subprocess.Popen([*command, "--queue", f"q{number}"], env=environment(), stdout=subprocess.PIPE, text=True)
        for number in range(clients)
    ]
    try:
        results = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if failed := [process.returncode for process in processes if process.returncode]:
        raise RuntimeError(f"{len(failed)} of {clients} clients failed; see what they wrote above.")
    return [json.loads(result) for result in results]


def main() -> None:
    """Measure and print."""
    options = parse_arguments()
    if options.client:
        print(json.dumps(asyncio.run(client(options.client, options.queue, options.messages))))
        return
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(options.messages, options.clients, Path(folder))
    text = json.dumps(numbers, indent=2)
    if options.json == "-":
        print(text)
        return
    print(f"send + receive + complete  {numbers['messages_per_second']:8.0f} messages/s ({options.clients} clients)")
    print(f"the emulator's share       {numbers['emulator_cpu_ms_per_message']:8.2f} ms of CPU a message")
    print(f"the SDK's share            {numbers['client_cpu_ms_per_message']:8.2f} ms of CPU a message")
    print(f"start                      {numbers['start_seconds']:8.2f} s (median of {STARTS})")
    print(f"memory, idle               {numbers['idle_rss_mib']:8.1f} MiB")
    print(f"memory, afterwards         {numbers['rss_mib']:8.1f} MiB")
    if options.json:
        Path(options.json).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
