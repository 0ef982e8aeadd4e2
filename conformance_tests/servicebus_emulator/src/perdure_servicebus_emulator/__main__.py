"""`perdure-servicebus-emulator`: runs until SIGTERM or Ctrl-C, and ends with status 0 then.

Other statuses: 1, the address is not free; 2, the command line or the configuration is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from perdure_servicebus_emulator._config import ConfigError, read_config
from perdure_servicebus_emulator._emulator import Emulator

if TYPE_CHECKING:
    from perdure_servicebus_emulator._settings import Queue

__all__ = ["main"]

_PORT = 5672  # Of AMQP without TLS, and of Microsoft's emulator.


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(
        prog="perdure-servicebus-emulator", description="Queues of Azure Service Bus, in memory, for tests."
    )
    parser.add_argument("--config", type=Path, required=True, help="which queues: JSON as of Microsoft's emulator")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s, this machine only)")
    parser.add_argument("--port", type=int, default=_PORT, help="0: a free one (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="tell of connections")
    options = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING, format="%(message)s")
    try:
        emulator = _make(read_config(options.config), options.host, options.port)
    except ConfigError as exc:
        parser.error(str(exc))
    try:
        asyncio.run(_run(emulator))
    except OSError as exc:
        print(f"{options.host}:{options.port} cannot be listened on: {exc}. Try --port 0.", file=sys.stderr)  # noqa: T201 - A command.
        sys.exit(1)


def _make(queues: list[Queue], host: str, port: int) -> Emulator:
    try:
        return Emulator(queues, host=host, port=port)
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc


async def _run(emulator: Emulator) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with emulator:
        print(emulator.connection_string, flush=True)  # noqa: T201 - A command.
        await stopped.wait()


if __name__ == "__main__":
    main()
