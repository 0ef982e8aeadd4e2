"""`perdure conformance`: the suite on the command line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

# The commands of the suite look and fail like those of core.
from perdure.cli._shell import App, Command, notice
from perdure_conformance._run.child import REPORT, run_contracts
from perdure_conformance._run.urls import harness_of, queue_of, template_of
from perdure_conformance.profiles import PROFILES

__all__ = ["conformance"]

SECTIONS = {
    "Examples": (
        "perdure conformance run --store sqlite:",
        "perdure conformance run --store file: --queue sqlite: --report out",
        "perdure conformance run --store 's3://bucket/{unique}' --queue memory:",
        "perdure conformance run --store memory: -- -k h2 -x",
    ),
    "An empty hub for each test": (
        "memory: needs nothing. sqlite: and file: are temporary folders, with a",
        "path new subfolders of it. Elsewhere, say with {unique} where the URL",
        "may differ; what a service then holds is not deleted.",
    ),
    "Exit codes": (
        "  0  every test passed, or was skipped with its reason",
        "  1  a clause is broken",
        "  2  wrong use: the message says what to change",
    ),
}


@click.group(cls=App, sections={"Examples": SECTIONS["Examples"]})
def conformance() -> None:
    """Prove that a backend keeps every promise."""


@conformance.command(cls=Command, sections=SECTIONS)
@click.option("--store", metavar="URL", required=True, help="The history store.")
@click.option("--queue", metavar="URL", help="The work queue, where it is not the store's own.")
@click.option("--profile", type=click.Choice(list(PROFILES)), default="quick", show_default=True, help="Which levels.")
@click.option("--report", metavar="DIR", type=click.Path(path_type=Path), help="Write json, Markdown and a badge here.")
@click.option("--json", "as_json", is_flag=True, help="Write report.json to stdout, all else to stderr.")
@click.option("--moment", metavar="SECONDS", type=float, help="Shortest lease and delay that the backend keeps.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- PYTEST...]")
def run(
    *,
    store: str,
    queue: str | None,
    profile: str,
    report: Path | None,
    as_json: bool,
    moment: float | None,
    arguments: tuple[str, ...],
) -> int:
    """Run the contracts on the backends of two URLs."""
    stored, queued = template_of(store), template_of(queue or queue_of(store))
    harness_of(stored, queued, moment_seconds=moment)  # A wrong URL is told here, in one line.
    with tempfile.TemporaryDirectory(prefix="perdure-report-") as place:
        folder = report or (Path(place) if as_json else None)
        code = run_contracts(
            stored,
            queued,
            profile=profile,
            moment_seconds=moment,
            folder=folder,
            arguments=arguments,
            quiet=as_json,
        )
        if as_json and folder and (folder / REPORT).exists():
            click.echo((folder / REPORT).read_text("utf-8"), nl=False)
    if report:
        notice(f"the report is in {report}: report.json, report.md, badge.json")
    return code
