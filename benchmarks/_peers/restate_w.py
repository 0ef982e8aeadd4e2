"""Restate: its server and one Python service, both in processes of their own on loopback, settings as shipped.

The server keeps its write-ahead log with fsync (the shipped default). Workflows are handlers of a plain service,
the cheapest kind it has; the driver calls them over HTTP and waits for the answers. Memory is that of server and
service, without the driver. PERDURE_PEERS_RESTATE_SERVER names the server's program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp  # type: ignore[import-not-found, unused-ignore]
from workloads import TEXT, System, allow_open_files, main

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PROGRAM = "PERDURE_PEERS_RESTATE_SERVER"
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
OPEN_FILES = 8_192


def free_ports(count: int) -> list[int]:
    """Find TCP ports that nothing listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@asynccontextmanager
async def process(log: str, *command: str, **variables: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a program beside the body, its output in a file of the current folder; leaving ends it."""
    with Path(log).open("wb") as output:  # noqa: ASYNC230 - before anything runs that could wait
        environment = {**os.environ, **variables}
        started = await asyncio.create_subprocess_exec(*command, env=environment, stdout=output, stderr=output)
        try:
            yield started
        finally:
            await end(started)


async def end(started: asyncio.subprocess.Process) -> None:
    """Ask a process to end, then make it."""
    if started.returncode is None:
        started.terminate()
        try:
            await asyncio.wait_for(started.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            started.kill()
            await started.wait()


def last_words(log: str) -> str:
    """Quote the end of what a process printed."""
    return f"{log} ends with: {Path(log).read_text('utf-8', 'replace')[-2000:]}"


async def ready(session: aiohttp.ClientSession, url: str, started: asyncio.subprocess.Process, log: str) -> None:
    """Wait until an address answers.

    Raises:
        TimeoutError: It did not, or its process ended; the message ends with the process's last words.
    """
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline and started.returncode is None:
        try:
            async with session.get(url) as answer:
                if answer.ok:
                    return
        except aiohttp.ClientError:
            pass  # it does not listen yet: that is what this loop waits for
        await asyncio.sleep(0.02)
    raise TimeoutError(f"{url} did not answer. {last_words(log)}")


@asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    """Start server and service at once, and make them known to each other."""
    allow_open_files(OPEN_FILES)
    ingress, admin, node, service = free_ports(4)
    address = f"127.0.0.1:{service}"
    asgi = (sys.executable, "-m", "hypercorn", "--bind", address, "--log-level", "warning", "restate_service:app")
    async with (
        process("server.log", os.environ[PROGRAM], "--no-logo", **server_settings(ingress, admin, node)) as server,
        process("service.log", *asgi, PYTHONPATH=str(Path(__file__).parent)) as worker,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout()) as session,
    ):
        await ready(session, f"http://127.0.0.1:{admin}/health", server, "server.log")
        await register(session, f"http://127.0.0.1:{admin}/deployments", address, worker)
        await ready(session, f"http://127.0.0.1:{ingress}/restate/health", server, "server.log")

        async def call(handler: str, amount: float) -> Any:
            request = {"text": TEXT, "amount": amount}
            async with session.post(f"http://127.0.0.1:{ingress}/peers/{handler}", json=request) as answer:
                answer.raise_for_status()
                return await answer.json()

        yield System(
            lambda steps: call("chain", steps),
            lambda steps: call("fan", steps),
            lambda seconds: call("nap", seconds),
            processes=(server.pid, worker.pid),
        )


def server_settings(ingress: int, admin: int, node: int) -> dict[str, str]:
    """Keep the server on loopback and in the current folder, and silent to the outside; all else as shipped."""
    return {
        "RESTATE_BASE_DIR": "restate-data",
        "RESTATE_NODE_NAME": "peers",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_BIND_PORT": str(node),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_DISABLE_TELEMETRY": "true",
    }


async def register(session: aiohttp.ClientSession, url: str, address: str, worker: asyncio.subprocess.Process) -> None:
    """Tell the server where the service is, as soon as the service listens."""
    host, _, port = address.partition(":")
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline and worker.returncode is None:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        break
    async with session.post(url, json={"uri": f"http://{address}"}) as answer:
        if not answer.ok:
            raise ConnectionError(f"The server refused the service: {await answer.text()} {last_words('service.log')}")


if __name__ == "__main__":
    main("restate", {"async": open_system})
