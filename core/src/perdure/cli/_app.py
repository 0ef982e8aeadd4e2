"""`perdure` and its commands, in the order of `--help`. A command module is added here, in one line."""

from __future__ import annotations

import click

from perdure.cli._config import config
from perdure.cli._cost import cost
from perdure.cli._demo import demo
from perdure.cli._doctor import doctor
from perdure.cli._history import history
from perdure.cli._list import list_
from perdure.cli._provider import provider
from perdure.cli._providers import providers
from perdure.cli._provision import provision
from perdure.cli._result import result
from perdure.cli._run import run
from perdure.cli._send import send
from perdure.cli._shell import App
from perdure.cli._show import show
from perdure.cli._simulate import simulate
from perdure.cli._start import start
from perdure.cli._worker import worker

__all__ = ["app"]


SECTIONS = {
    "Examples": (
        "perdure run shop:invoicing --input order.json --id order-4711",
        "perdure worker shop",
        "perdure show order-4711",
    ),
    "Which hub": (
        "--hub, else PERDURE_HUB, else `hub` in perdure.toml or in [tool.perdure]",
        "of pyproject.toml, else sqlite:.perdure. See `perdure config`.",
    ),
    "Exit codes": (
        "  0  done",
        "  1  the orchestration failed",
        "  2  wrong use: the message says what to change",
        "  3  no such instance",
        "  4  the hub does not answer, is damaged, or is of a newer release",
        "  5  not finished within --timeout; it goes on",
        " 70  an error inside perdure",
        "130  stopped by Ctrl-C, 143 by SIGTERM; nothing recorded is lost",
    ),
    "Errors": ("take one line; -v or PERDURE_TRACEBACK=1 shows the traceback.",),
}


@click.group(cls=App, sections=SECTIONS, commands_from="perdure.commands")
@click.version_option(package_name="perdure-core", message="%(version)s")
def app() -> None:
    """Durable orchestrations in plain async/await Python."""


COMMANDS = (
    demo, run, worker, start, send, result, list_, show, history, simulate,
    provision, doctor, cost, providers, provider, config,
)  # fmt: skip

for command in COMMANDS:
    app.add_command(command)
