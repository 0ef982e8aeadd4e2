"""LocalStack, the second opinion on S3 and SQS, in an environment of its own: its pins fit nobody else's."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from perdure_conformance.emulators._server import ServerDidNotStart, ServerProcess, answers_http

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["localstack", "localstack_python"]

_CHECKOUT = Path(__file__).parents[4]
_PINS = _CHECKOUT / "conformance_tests" / "localstack.txt"
_PLACE = _CHECKOUT / ".nox" / "localstack"


@contextmanager
def localstack(folder: Path) -> Iterator[str]:
    """Run LocalStack with S3 and SQS; some seconds to start, and some minutes more the first time in a checkout.

    Args:
        folder: For its log and its files.

    Yields:
        Its URL.

    Raises:
        ServerDidNotStart: The message holds its log, or says how to give it an environment.
    """
    python = localstack_python()
    server = ServerProcess(
        "localstack",
        lambda _: [str(python), "-m", "localstack.runtime.main"],
        folder=folder,
        environment=lambda port: {
            "SERVICES": "s3,sqs",
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_SERVER": "hypercorn",  # the other one listens on every interface, whatever it is told
            "FILESYSTEM_ROOT": str(folder / "files"),
            "DISABLE_EVENTS": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "OVERRIDE_IN_DOCKER": "0",
            "DNS_ADDRESS": "0",
            "PYTHONPATH": "",
        },
        is_ready=lambda port: answers_http(f"http://127.0.0.1:{port}/_localstack/health"),
        start_seconds=180.0,
    )
    with server:
        yield f"http://127.0.0.1:{server.port}"


def localstack_python() -> Path:
    """Find the Python that has LocalStack: what PERDURE_LOCALSTACK_PYTHON names, or `.nox/localstack`, made if missing.

    Raises:
        ServerDidNotStart: There is none, and it cannot be made here.
    """
    named = os.environ.get("PERDURE_LOCALSTACK_PYTHON")
    if named:
        return Path(named)
    if not _PINS.exists():
        raise ServerDidNotStart(
            "LocalStack needs an environment of its own: install its pins (conformance_tests/localstack.txt in the "
            "repository of Perdure) into one, and set PERDURE_LOCALSTACK_PYTHON to its python."
        )
    _PLACE.parent.mkdir(exist_ok=True)
    with (_PLACE.parent / "localstack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
        made = _PLACE / "made-of.txt"
        if not made.exists() or made.read_text() != _PINS.read_text():
            _make_environment()
            # Crash before here: it is made anew.
            made.write_text(_PINS.read_text())
    return _PLACE / "bin" / "python"


def _make_environment() -> None:
    """Make `.nox/localstack`, with uv where it is installed."""
    shutil.rmtree(_PLACE, ignore_errors=True)
    python = str(_PLACE / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(_PLACE))
        _run(uv, "pip", "install", "--quiet", "--python", python, "-r", str(_PINS))
    else:
        venv.create(_PLACE, with_pip=True)
        _run(python, "-m", "pip", "install", "--quiet", "-r", str(_PINS))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - uv or pip, as found
    if done.returncode:
        raise ServerDidNotStart(f"LocalStack's environment was not made: {' '.join(command)}:\n{done.stderr[-4000:]}")
