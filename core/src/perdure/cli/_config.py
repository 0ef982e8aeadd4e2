"""`perdure config`: which settings hold, and where each came from."""

from __future__ import annotations

from typing import cast

import click

from perdure.cli._output import write_json, write_table
from perdure.cli._shell import Command
from perdure.config import Loaded, SettingRow, describe_settings, explain_settings, value_of

__all__ = ["config"]

SECTIONS = {
    "Examples": (
        "perdure config",
        "perdure config --explain",
        "PERDURE_WORKER_THREADS_MAX=4 perdure config",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.option("--explain", is_flag=True, help="Tell what each setting means and may be, instead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per setting and line.")
def config(*, explain: bool, as_json: bool) -> int:
    """Show the settings that hold here."""
    loaded = explain_settings()
    rows = list(describe_settings())
    if as_json:
        for row in rows:
            write_json(_object(row, loaded))
    elif explain:
        for row in rows:
            _explain(row)
    else:
        cells = [(row.key, _text(value_of(loaded.settings, row.key)), loaded.origins[row.key]) for row in rows]
        write_table(("SETTING", "VALUE", "FROM"), cells)
    return 0


def _object(row: SettingRow, loaded: Loaded) -> dict[str, object]:
    return {
        "key": row.key,
        "value": value_of(loaded.settings, row.key),
        "from": loaded.origins[row.key],
        "default": row.default,
        "type": row.type,
        "allowed": row.allowed,
        "meaning": row.meaning,
        "env_var": row.env_var,
    }


def _explain(row: SettingRow) -> None:
    text = f"{row.meaning} Give {row.allowed}; the default is {_text(row.default)}. {row.env_var}"
    click.echo(click.wrap_text(f"{row.key}\n{text}", width=100, subsequent_indent="    "))


def _text(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else str(value)
