"""ServerProcess: a server for as long as somebody needs it, and not longer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

__all__ = ["ServerDidNotStart", "ServerProcess", "answers_http"]

_GUARD = Path(__file__).with_name("_guard.py")
_STARTS = 3
"""A port that was free may be taken by the time the server wants it."""
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 20.0
_LOG_CHARACTERS = 4000


class ServerDidNotStart(Exception):
    """The server ended, or was not ready in time. The message holds the end of its log. Do: read that."""


class ServerProcess:
    """A server at a free port of this machine; a context manager that starts and ends it.

    Args:
        name: For messages and the name of the log.
        command: Makes the command for a port.
        folder: Where it runs and where its log is; created where there is none.
        environment: Variables that it gets beside those of this process; an empty value takes one away.
        is_ready: Tells of a port whether the server answers as it should. Asked again and again.
        start_seconds: Patience with one start; a quiet machine needs a small part of it.

    Attributes:
        port: Where it listens, once it was started.
    """

    port: int

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str]],
        *,
        folder: Path,
        environment: Callable[[int], Mapping[str, str]],
        is_ready: Callable[[int], bool],
        start_seconds: float = 90.0,
    ) -> None:
        self._name = name
        self._command = command
        self._folder = folder
        self._environment = environment
        self._is_ready = is_ready
        self._start_seconds = start_seconds
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file with what it prints."""
        return self._folder / f"{self._name}.log"

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            ServerDidNotStart: It did not become ready.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        has_ended = False
        for _ in range(_STARTS):
            self.port = _free_port()
            self._guard = self._run()
            if self._becomes_ready():
                return
            has_ended = self._guard.poll() is not None
            self.stop()
            if not has_ended:
                break
        end = self.log.read_text(errors="replace")[-_LOG_CHARACTERS:]
        raise ServerDidNotStart(
            f"{self._name} {'ended' if has_ended else f'was not ready within {self._start_seconds:g} s'}. "
            f"The end of its log ({self.log}):\n{end}"
        )

    def stop(self) -> None:
        """End it, and wait for that; twice is allowed."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        assert guard.stdin is not None
        guard.stdin.close()
        try:
            guard.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Its group is its own: nobody else is in it.
            os.killpg(guard.pid, 9)
            guard.wait()

    def _run(self) -> subprocess.Popen[bytes]:
        added = {**os.environ, **self._environment(self.port)}
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the command is the caller's
                [sys.executable, "-I", "-S", _GUARD, *self._command(self.port)],
                cwd=self._folder,
                env={name: value for name, value in added.items() if value},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _becomes_ready(self) -> bool:
        assert self._guard is not None
        deadline = time.monotonic() + self._start_seconds
        while time.monotonic() < deadline and self._guard.poll() is None:
            if self._is_ready(self.port):
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def answers_http(url: str) -> bool:
    """Tell whether a server answers at a URL with success."""
    try:
        # No proxy stands between this machine and itself, whatever the environment says.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
