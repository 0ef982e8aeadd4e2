"""`perdure cost`: run an orchestration some times, count the requests, and say what a million runs cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

import perdure
from perdure.cli._output import write_json, write_table
from perdure.cli._process import begin_with_fixed_hashes
from perdure.cli._run import serving
from perdure.cli._shell import Command, hub_options, notice
from perdure.cli._target import call_with, find_orchestration
from perdure.cli._words import printable
from perdure.errors import Misuse
from perdure.hub import find_prices, locations_of, open_hub

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perdure.authoring import Definition, Orchestration
    from perdure.config import Settings
    from perdure.hub import OpenHub

__all__ = ["cost"]

COLUMNS = ("REQUEST", "PER RUN", "USD PER MILLION", "USD PER MILLION RUNS")

SECTIONS = {
    "Examples": (
        "perdure cost shop:invoicing --input order.json --hub s3://bucket/shop",
        "perdure cost shop:invoicing --input order.json --runs 200 --json",
    ),
    "What is counted": (
        "Every request of a client and a worker in this process, from the first start",
        "to the last result. Not: waiting when there is nothing to do, storage,",
        "transfer, what activities do. Prices are list prices.",
    ),
}


@dataclass(frozen=True, slots=True)
class _Line:
    """One kind of request."""

    request: str
    per_run: float
    price: float | None

    @property
    def usd(self) -> float:
        """What it costs in a million runs; 0 where no price is known."""
        return self.per_run * (self.price or 0.0)


@click.command(cls=Command, sections=SECTIONS)
@click.argument("target", metavar="MODULE:ORCHESTRATION")
@click.option("--input", "input_", metavar="JSON", help="A JSON file, - for stdin, or JSON itself.")
@click.option("--runs", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How often, all at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@hub_options
def cost(target: str, *, input_: str | None, runs: int, as_json: bool, settings: Settings) -> int:
    """Say what a million runs of an orchestration cost in requests.

    Really runs it, on the hub that is named; the instances stay there.
    """
    begin_with_fixed_hashes()
    definition, definitions = find_orchestration(target)
    lines = asyncio.run(_measure(settings, definition, definitions, input_, runs))
    if as_json:
        write_json(_object(lines, runs))
        return 0
    write_table(COLUMNS, [_row(line) for line in lines], right=range(1, 4))
    click.echo(f"A million runs: {sum(line.usd for line in lines):,.2f} USD in requests, measured over {runs} runs.")
    unpriced = sorted(line.request for line in lines if line.price is None)
    if unpriced:
        notice(printable(f"no price is known for {', '.join(unpriced)}: counted as free"))
    return 0


async def _measure(
    settings: Settings,
    definition: Orchestration[..., Any],
    definitions: Sequence[Definition],
    input_: str | None,
    runs: int,
) -> list[_Line]:
    prices = find_prices(*locations_of(settings))
    opened = await open_hub(settings)
    try:
        if not any(prices):
            raise Misuse(f"{settings.store_url}: requests cost nothing here: name a hub whose provider has prices.")
        hub = perdure.Hub(opened, settings)
        async with hub.worker(*definitions, settings=serving(settings.worker, definitions)):
            before = _counts(opened)
            begun = await asyncio.gather(*(hub.start(call_with(definition, input_)) for _ in range(runs)))
            ended = await asyncio.gather(*(run.result() for run in begun), return_exceptions=True)
            after = _counts(opened)
    finally:
        await opened.aclose()
    failed = [each for each in ended if isinstance(each, BaseException)]
    if failed:
        notice(printable(f"{len(failed)} of {runs} failed, for example: {failed[0]}"))
    return [line for side in range(2) for line in _lines(after[side] - before[side], prices[side], runs)]


def _counts(hub: OpenHub) -> tuple[Counter[str], Counter[str]]:
    return Counter(hub.store.requests), Counter(hub.queue.requests)


def _lines(counted: Counter[str], prices: Mapping[str, float], runs: int) -> list[_Line]:
    return [_Line(request, count / runs, prices.get(request)) for request, count in sorted(counted.items())]


def _row(line: _Line) -> tuple[str, ...]:
    price = "?" if line.price is None else f"{line.price:.2f}"
    return (line.request, f"{line.per_run:.2f}", price, f"{line.usd:.2f}")


def _object(lines: Sequence[_Line], runs: int) -> dict[str, object]:
    requests = {
        line.request: {"per_run": line.per_run, "usd_per_million": line.price, "usd_per_million_runs": line.usd}
        for line in lines
    }
    return {"runs": runs, "requests": requests, "usd_per_million_runs": sum(line.usd for line in lines)}
