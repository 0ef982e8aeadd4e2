"""A client process: starts instances or sends events, one after the other.

Writes down what was acknowledged, durably, after it was: what is in the file must not be lost.
"""

from __future__ import annotations

import os

import msgspec

import perdure
from perdure_conformance.torture import _load
from perdure_conformance.torture._worker import carry_out_steps


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent wants: start `errand` under each id, or send `item` to `collector` under each event id."""

    settings: perdure.Settings
    acknowledged: str
    ids: tuple[str, ...]
    is_atomic: bool
    collector: str = ""


async def act(orders: Orders) -> None:
    """Do it all, one after the other."""
    file = os.open(orders.acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    async with perdure.connect(settings=orders.settings) as hub:
        carry_out_steps(hub._hub, is_atomic=orders.is_atomic)  # noqa: SLF001 - below what applications see
        for one in orders.ids:
            number = int(one.rpartition("-")[2])
            if orders.collector:
                await hub.send(orders.collector, _load.item, number, event_id=one)
            else:
                await hub.start(_load.errand(number), id=one)
            os.write(file, one.encode() + b"\n")
            os.fsync(file)
    os.close(file)
