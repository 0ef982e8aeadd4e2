"""Reduce the rounds of peers.py to medians, and show them.

`report.py RESULT.json` prints the table again, `--plot FOLDER` draws peers.png (in a Python that has matplotlib).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
OURS = "perdure"
COLOURS = {"perdure": "#2f6f4f", "dbos": "#b07a2a", "restate": "#4b6ea9"}
COLUMNS = 2
DECIMALS_BELOW = ((10, 2), (100, 1))
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Measure:
    """A line of the table: one figure of one run.

    Attributes:
        title: What a reader sees.
        run: What peers.py calls the run of ours.
        figure: Of what the scripts print.
        against: The run of the peers that it is compared with; where this names the same, they are one run.
        more_is_better: Else less is.
    """

    title: str
    run: str
    figure: str
    against: str
    more_is_better: bool = False


MEASURES = (  # The first line of a run says which variant of a system is the better one.
    Measure("W1 200 x 5 steps, 50 open: steps/s", "W1", "steps_per_second", "W1", more_is_better=True),
    Measure("W1 ours 2,000 x 5, peers 200: steps/s", "W1-long", "steps_per_second", "W1", more_is_better=True),
    Measure("W1 ours 2,000 x 5, peers 200: CPU ms/step", "W1-long", "cpu_ms_per_step", "W1"),
    Measure("W1 memory after it: MiB", "W1", "rss_mib", "W1"),
    Measure("W2 1 step, alone: p50 ms", "W2", "p50_ms", "W2"),
    Measure("W2 1 step, alone: p99 ms", "W2", "p99_ms", "W2"),
    Measure("W2 5 steps, alone: p50 ms", "W2", "p50_five_steps_ms", "W2"),
    Measure("W3 1,000 steps in parallel: s", "W3", "seconds", "W3"),
    Measure("W4 chain of 2,000: steps/s", "W4", "steps_per_second", "W4", more_is_better=True),
    Measure("W4 chain of 2,000: CPU ms/step", "W4", "cpu_ms_per_step", "W4"),
    Measure("W5 start to first result: s", "W5", "seconds", "W5"),
    Measure("W6 1,000 sleeps of 1 s: s", "W6", "seconds", "W6"),
)

Rows = list[dict[str, Any]]

# ── medians ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def summarize(figures: Rows) -> Rows:
    """Reduce rounds to medians.

    Args:
        figures: What each script printed in each round.

    Returns:
        For each measure that was run: what it is, and per system the better variant with median, lowest and highest
        round and, for peers, the ratio: how many times better ours is, below 1 worse.
    """
    lines = []
    names = list(dict.fromkeys(row["system"] for row in figures))
    for measure in MEASURES:
        runs = {name: measure.run if name == OURS else measure.against for name in names}
        cells = {name: cell for name, run in runs.items() if (cell := reduce(figures, name, run, measure))}
        if cells and (OURS in cells or measure.run == measure.against):
            compare(cells, measure)
            what = {"title": measure.title, "run": measure.run, "figure": measure.figure}
            lines.append({**what, "more_is_better": measure.more_is_better, "systems": cells})
    return lines


def reduce(figures: Rows, name: str, run: str, measure: Measure) -> dict[str, Any] | None:
    """Take the median of one system in one measure, None if it has no round or no such figure."""
    variant = chosen_variant(figures, name, run)
    rows = [row for row in figures if (row["system"], row["run"], row["variant"]) == (name, run, variant)]
    values = [row[measure.figure] for row in rows if measure.figure in row]
    if not values:
        return None
    spread = {"lowest": min(values), "highest": max(values), "rounds": len(values)}
    return {"variant": variant, "median": statistics.median(values), **spread}


def chosen_variant(figures: Rows, name: str, run: str) -> str | None:
    """Name the variant of a system that counts in one run, None if it has no round of it."""
    rows = [row for row in figures if (row["system"], row["run"]) == (name, run)]
    return better_variant(rows, next(one for one in MEASURES if one.run == run)) if rows else None


def better_variant(rows: Rows, measure: Measure) -> str:
    """Name the way to write workflows that did better in one run, of those that took part in most rounds."""
    rounds = Counter(row["variant"] for row in rows)
    medians = {
        variant: statistics.median(row[measure.figure] for row in rows if row["variant"] == variant)
        for variant in sorted(rounds)
        if rounds[variant] == max(rounds.values())
    }
    pick = max if measure.more_is_better else min
    best: str = pick(medians, key=medians.__getitem__)
    return best


def compare(cells: dict[str, dict[str, Any]], measure: Measure) -> None:
    """Add to each peer how many times better ours is, if ours was run."""
    for name, cell in cells.items():
        if OURS in cells and name != OURS:
            ratio = cells[OURS]["median"] / cell["median"]
            cell["ratio"] = ratio if measure.more_is_better else 1 / ratio


# ── table ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def table(result: dict[str, Any]) -> str:
    """Write the medians as a table, with what a reader needs to judge them."""
    systems = list(result["systems"])
    several = {row["system"] for row in result["figures"] if row["variant"] == "def"}
    compared = [name for name in systems if name != OURS and OURS in systems]
    rows = [["", *systems, *[f"{OURS} : {name}" for name in compared]]]
    for line in result["summary"]:
        cells = line["systems"]
        texts = [cell_text(cells.get(name), with_variant=name in several) for name in systems]
        rows.append([line["title"], *texts, *[ratio_text(cells.get(name)) for name in compared]])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *remarks(result)])


def cell_text(cell: dict[str, Any] | None, *, with_variant: bool) -> str:
    """Write median and range, and the variant where a system has several."""
    if cell is None:
        return NOTHING
    text = f"{rounded(cell['median'])} ({rounded(cell['lowest'])} to {rounded(cell['highest'])})"
    return f"{text} {cell['variant']}" if with_variant else text


def ratio_text(cell: dict[str, Any] | None) -> str:
    """Write how many times better ours is, where there is something to compare."""
    return f"{rounded(cell['ratio'])} x" if cell and "ratio" in cell else NOTHING


def rounded(value: float) -> str:
    """Write a figure with about three digits."""
    decimals = next((count for limit, count in DECIMALS_BELOW if value < limit), 0)
    return f"{value:,.{decimals}f}"


def remarks(result: dict[str, Any]) -> list[str]:
    """Say how it was measured, where, and what is missing."""
    machine = result["machine"]
    where = f"{machine['cpus']} CPUs, {machine['system']}, Python {machine['python']}"
    load = f"load {machine['load_before']:.1f} before and {machine['load_after']:.1f} after"
    failed = [(f"{one['run']} of {one['system']} {one['variant']}", one) for one in result["failures"]]
    return [
        f"Medians of {result['rounds']} interleaved rounds (lowest to highest). `{OURS} : peer` says how many times",
        "better ours is, whether more or less is better; below 1 it is worse.",
        f"{where}; an append with fdatasync takes {machine['fdatasync_p50_ms']:.2f} ms; {load}.",
        *[f"{name}: {system['durability']}." for name, system in result["systems"].items()],
        *[f"LEFT OUT: {name} {why}" for name, why in result["left_out"].items()],
        *[f"FAILED: {what}, round {one['round']}: {one['why']}" for what, one in failed],
    ]


# ── plot ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def plot(result: dict[str, Any], folder: Path) -> None:
    """Draw a panel per measure: a bar per system, a line from the lowest to the highest round."""
    import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - only where one plots

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    lines = result["summary"]
    rows = math.ceil(len(lines) / COLUMNS)
    figure, panels = plt.subplots(rows, COLUMNS, figsize=(12, 1.7 * rows + 0.6), squeeze=False)
    for panel, line in zip(panels.flat, lines, strict=False):
        draw(panel, line)
    for panel in panels.flat[len(lines) :]:
        panel.axis("off")
    figure.suptitle(
        f"Perdure and peers, durable, {result['machine']['cpus']} CPUs, medians of {result['rounds']} rounds; "
        "3 x: ours is three times better"
    )
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "peers.png", dpi=120)


def draw(panel: Any, line: dict[str, Any]) -> None:
    """Draw one measure into one panel."""
    names = list(line["systems"])
    cells = [line["systems"][name] for name in names]
    down = [cell["median"] - cell["lowest"] for cell in cells]
    up = [cell["highest"] - cell["median"] for cell in cells]
    colours = [COLOURS.get(name, "#888888") for name in names]
    panel.barh(names, [cell["median"] for cell in cells], xerr=(down, up), color=colours, ecolor="#555555")
    for index, cell in enumerate(cells):
        text = rounded(cell["median"]) + (f"   {ratio_text(cell)}" if "ratio" in cell else "")
        panel.annotate(text, (cell["highest"], index), (6, 0), textcoords="offset points", va="center", fontsize=8)
    panel.set_xlim(0, 1.3 * max(cell["highest"] for cell in cells))
    panel.invert_yaxis()
    panel.set_title(
        f"{line['title']} ({'more' if line['more_is_better'] else 'less'} is better)", fontsize=9, loc="left"
    )
    panel.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Show a result.

    Raises:
        SystemExit: The file is of another schema: measure anew.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what peers.py --json wrote")
    parser.add_argument("--plot", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    result = json.loads(given.result.read_text("utf-8"))
    if result.get("schema") != SCHEMA:
        raise SystemExit(f"{given.result} has schema {result.get('schema')!r}, this needs {SCHEMA}: run peers.py anew.")
    print(table(result))
    if given.plot:
        plot(result, given.plot)


if __name__ == "__main__":
    main()
