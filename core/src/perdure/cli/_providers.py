"""`perdure providers`: which stores and queues are installed, and what they can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from perdure.cli._output import write_json, write_table
from perdure.cli._shell import Command, notice
from perdure.cli._words import duration, printable, size
from perdure.hub._plugins import ProviderInfo, installed_providers
from perdure.spi import QueueCapabilities, StoreCapabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["providers"]

STORE_COLUMNS = ("STORE", "PACKAGE", "RECORD", "INLINE", "PAYLOAD", "SCAN LAG", "NOTIFIES")
QUEUE_COLUMNS = ("QUEUE", "CLASS", "BODY", "DELAY", "LEASE", "DELIVERIES", "BATCH", "GROUPS")

SECTIONS = {
    "Examples": (
        "perdure providers",
        "perdure providers --json",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per provider and line.")
def providers(*, as_json: bool) -> int:
    """List the installed stores and queues.

    A plugin that cannot be used is reported on stderr.
    """
    infos, problems = installed_providers()
    for problem in problems:
        notice(printable(f"warning: {problem.problem}"))
    if as_json:
        for info in infos:
            write_json(_object(info))
        return 0
    write_table(STORE_COLUMNS, [_store_row(info) for info in infos if info.kind == "store"], right=range(2, 6))
    click.echo()
    queues = [row for info in infos if info.kind == "queue" for row in _queue_rows(info)]
    write_table(QUEUE_COLUMNS, queues, right=range(2, 7))
    return 0


def _object(info: ProviderInfo) -> dict[str, object]:
    capabilities = info.capabilities
    plain = capabilities if capabilities is None else msgspec.to_builtins(capabilities)
    return {
        "scheme": info.scheme,
        "kind": info.kind,
        "distribution": info.distribution,
        "version": info.version,
        "capabilities": plain,
    }


def _store_row(info: ProviderInfo) -> tuple[str, ...]:
    head = (f"{info.scheme}:", f"{info.distribution} {info.version}")
    can = info.capabilities
    if not isinstance(can, StoreCapabilities):
        return (*head, *["?"] * (len(STORE_COLUMNS) - len(head)))
    return (
        *head,
        size(can.record_bytes_max),
        size(can.inline_bytes_max),
        size(can.payload_bytes_max),
        duration(can.scan_lag_seconds),
        _yes(can.notifies),
    )


def _queue_rows(info: ProviderInfo) -> Iterator[tuple[str, ...]]:
    can = info.capabilities
    if can is None or isinstance(can, StoreCapabilities):
        yield (f"{info.scheme}:", *["?"] * (len(QUEUE_COLUMNS) - 1))
        return
    for name, queue in can.items():
        yield (f"{info.scheme}:", name, *_queue_cells(queue))


def _queue_cells(can: QueueCapabilities) -> tuple[str, ...]:
    return (
        size(can.body_bytes_max),
        duration(can.delay_seconds_max),
        duration(can.lease_seconds_max),
        f"{can.deliveries_max:,}",
        f"{can.receive_batch_max:,}",
        _yes(can.exclusive_groups),
    )


def _yes(value: bool) -> str:  # noqa: FBT001 - it says what the value is
    return "yes" if value else "no"
