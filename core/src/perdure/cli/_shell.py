"""What all commands share: options, exit codes, one-line errors, and how the process is set up."""

from __future__ import annotations

import functools
import io
import logging
import os
import shlex
import sys
import traceback
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

import click

from perdure.cli._words import printable
from perdure.config import load_settings
from perdure.errors import (
    Corrupt,
    Misuse,
    NotFound,
    OrchestrationError,
    PerdureError,
    TooNew,
    Unavailable,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["App", "Command", "Session", "explain", "hub_options", "notice", "session"]

R = TypeVar("R")

FAILED, WRONG_USE, NOT_FOUND, NO_HUB, TIMED_OUT = 1, 2, 3, 4, 5
INTERNAL, INTERRUPTED, TERMINATED, PIPE_CLOSED = 70, 130, 143, 141

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (OrchestrationError, FAILED),
    (NotFound, NOT_FOUND),
    (Unavailable, NO_HUB),
    (Unknown, NO_HUB),
    (Corrupt, NO_HUB),
    (TooNew, NO_HUB),
    (PerdureError, WRONG_USE),
    (TimeoutError, TIMED_OUT),
    (KeyboardInterrupt, INTERRUPTED),
    (BrokenPipeError, PIPE_CLOSED),
    (Exception, INTERNAL),
)
"""The first kind that an error is of decides."""


@dataclass(slots=True)
class Session:
    """One use of the command line.

    Attributes:
        verbose: Whether to show tracebacks and log lines.
        may_replace_process: Whether the process is ours to start anew: it was started as `perdure`.
    """

    verbose: bool = False
    may_replace_process: bool = False


def session() -> Session:
    """Get the session of the command that runs."""
    return click.get_current_context().ensure_object(Session)


def notice(text: str) -> None:
    """Tell a person something on stderr, where it disturbs no output."""
    click.echo(f"perdure: {text}", err=True)


class Command(click.Command):
    """A command that takes -v, and shows sections of fixed lines at the end of its help: examples first of all."""

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **{"context_settings": {"help_option_names": ["-h", "--help"]}, **kwargs})
        self._sections = sections
        self.params.append(
            click.Option(
                ["-v", "--verbose"],
                is_flag=True,
                expose_value=False,
                callback=_set_verbose,
                help="Show log lines, and tracebacks of errors.",
            )
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        for title, lines in self._sections.items():
            with formatter.section(title):
                formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in lines))


def _set_verbose(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's order
    if value or os.environ.get("PERDURE_TRACEBACK", "") not in {"", "0"}:
        context.ensure_object(Session).verbose = True
    level = logging.INFO if context.ensure_object(Session).verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def _load(point: metadata.EntryPoint) -> click.Command:
    """Load a command of another package; one that cannot be loaded says so when it is called, and breaks no other."""
    try:
        command: click.Command = point.load()
    except Exception as problem:  # noqa: BLE001 - whatever another package's import raises
        package = point.dist.name if point.dist is not None else point.value
        trouble = (
            f"{package} offers `{point.name}`, which cannot be loaded: {problem!r}. Mend or uninstall the package."
        )

        def tell(**_: object) -> int:
            raise Misuse(trouble)

        return Command(point.name, sections={}, callback=tell, short_help="(Cannot be loaded.)")
    return command


class App(Command, click.Group):
    """The group of all commands: turns what they raise into a line and an exit code."""

    def __init__(self, *args: Any, commands_from: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commands_from = commands_from

    @functools.cached_property
    def _plugged(self) -> dict[str, metadata.EntryPoint]:
        """Commands of other packages, each imported when it is asked for; ours come first."""
        points = metadata.entry_points(group=self._commands_from) if self._commands_from else ()
        return {point.name: point for point in points if point.name not in self.commands}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the commands in the order in which they were added, then those of other packages."""
        del ctx
        return [*self.commands, *sorted(self._plugged)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Get a command of ours, or load one of another package."""
        if cmd_name not in self.commands and cmd_name in self._plugged:
            return _load(self._plugged[cmd_name])
        return super().get_command(ctx, cmd_name)

    def run(self) -> int:
        """Run on the arguments of the process, which is ours, and give the exit code."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # An id that cannot be shown must not end the listing.
        try:
            code: object = self.main(prog_name="perdure", standalone_mode=False, obj=Session(may_replace_process=True))
        except click.ClickException as wrong:
            wrong.show()
            return wrong.exit_code
        return code if isinstance(code, int) else 0

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is named."""
        try:
            answer: object = super().invoke(ctx)
            code = answer if isinstance(answer, int) else 0
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - the outermost loop: it reports and ends
            code = explain(problem, verbose=ctx.ensure_object(Session).verbose)
        ctx.exit(code)


def explain(problem: BaseException, *, verbose: bool) -> int:
    """Report what ended a command, in one line, and give the exit code."""
    code = next(code for kind, code in EXIT_CODES if isinstance(problem, kind))
    if verbose and code not in {INTERRUPTED, PIPE_CLOSED}:
        traceback.print_exception(problem)
    if code == PIPE_CLOSED:
        # The reader has gone (`perdure list | head`); without this, Python complains once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    elif code == INTERNAL:
        what = f"{type(problem).__name__}: {problem}"
        notice(f"unexpected error: {printable(what)}" + ("" if verbose else " (-v shows where)"))
    elif code != INTERRUPTED:
        notice(printable(" ".join([_sentence(str(problem)), *_hints(problem)])))
    return code


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _hints(problem: BaseException) -> Iterator[str]:
    match problem:
        case NotFound():
            yield "`perdure list` shows what is there."
        case Unavailable():
            yield "Nothing was changed: try again."
        case OrchestrationError(instance_id=instance_id) if instance_id:
            yield f"`{shlex.join(['perdure', 'show', instance_id])}` shows the steps."
        case _:
            return


def hub_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command --hub, --store and --queue; it gets the loaded settings as `settings`."""

    @click.option("--hub", metavar="URL", help="Where instances live, for example sqlite:.perdure")
    @click.option("--store", metavar="URL", help="The history store, where it is not the hub's.")
    @click.option("--queue", metavar="URL", help="The work queue, where it is not the store's own.")
    @functools.wraps(command)
    def with_settings(*args: Any, hub: str | None, store: str | None, queue: str | None, **kwargs: Any) -> R:
        return command(*args, settings=load_settings(hub=hub, store=store, queue=queue), **kwargs)

    return with_settings
