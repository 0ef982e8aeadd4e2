"""What a hub finds when it asks for plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

import perdure_local
from perdure.memory import MemoryQueue
from perdure.spi import PLUGIN_GROUP, Environment, Hooks, Location, SystemClock, SystemEntropy
from perdure_local import SqliteCommitter, SqliteQueue, SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = Environment(SystemClock(), SystemEntropy())


def location(path: Path) -> Location:
    return Location(url=f"sqlite:{path}", scheme="sqlite", path=str(path), options={})


def load_hooks() -> pluggy.HookRelay:
    plugins = pluggy.PluginManager(PLUGIN_GROUP)
    plugins.add_hookspecs(Hooks)
    plugins.register(perdure_local)
    plugins.check_pending()
    return plugins.hook


def test_sqlite_is_a_store_and_a_queue_and_its_own_natural_queue() -> None:
    hooks = load_hooks()

    assert [offered["sqlite"] for offered in hooks.perdure_stores()] == [SqliteStore]
    assert [offered["sqlite"] for offered in hooks.perdure_queues()] == [SqliteQueue]
    assert [offered["sqlite"] for offered in hooks.perdure_natural_queues()] == ["{url}"]


async def test_a_step_is_one_transaction_where_store_and_queue_share_a_folder(tmp_path: Path) -> None:
    """Two folders are two databases: no transaction reaches over both."""
    hooks = load_hooks()
    store = SqliteStore(location(tmp_path / "one"), ENVIRONMENT)
    same = SqliteQueue(location(tmp_path / "one"), ENVIRONMENT)
    other = SqliteQueue(location(tmp_path / "two"), ENVIRONMENT)
    memory = MemoryQueue(Location("memory:", "memory", "", {}), ENVIRONMENT)
    for part in (store, same, other):
        await part.open()

    offers = [
        hooks.perdure_committer(store=store, queue=queue, environment=ENVIRONMENT) for queue in (same, other, memory)
    ]

    assert isinstance(offers[0], SqliteCommitter)
    assert offers[1:] == [None, None]
    for part in (store, same, other):
        await part.aclose()
