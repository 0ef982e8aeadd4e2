"""The index of ObjectHistoryStore: what a scan finds when, and what it costs, on virtual time."""

from __future__ import annotations

import pytest
from _indexed_hub import IndexedHub as Hub
from _indexed_hub import tasks_of_indexes
from _object_services import scanned, true_summaries
from perdure_conformance.material import ORDER, addition, begin, creation, purge

from perdure.spi import (
    Key,
    Unavailable,
)
from perdure.spi.object_history._index_objects import SEGMENTS_MAX


@pytest.fixture
def hub() -> Hub:
    return Hub()


async def test_who_wrote_an_instance_finds_it_at_once(hub: Hub) -> None:
    store = hub.client()

    await begin(store)

    assert await hub.keys(store) == [ORDER]


async def test_others_find_it_as_soon_as_a_scan_can_be_sure_and_no_later_than_the_lag(hub: Hub) -> None:
    writer, other = hub.client(), hub.client()
    lag = writer.capabilities.scan_lag_seconds
    await hub.build()
    await begin(writer)

    began = hub.clock.monotonic()
    assert [summary.key for summary in await scanned(hub.clock, other)] == [ORDER]
    assert hub.clock.monotonic() - began <= lag

    await hub.clock.advance(lag)
    assert await hub.keys(other) == [ORDER]  # Nobody lets time pass here: it does not wait.
    assert lag == 3


async def test_a_busy_hub_keeps_a_scan_waiting_for_one_segment_of_each_client(hub: Hub) -> None:
    """And one that has heard of all of them just now not at all."""
    await hub.build()
    writers, other = [hub.client() for _ in range(3)], hub.client()
    for number, writer in enumerate(writers):
        await begin(writer, Key(f"order-{number}"))
        await hub.clock.advance(0.3)

    began = hub.clock.monotonic()
    assert len(await scanned(hub.clock, other)) == 3
    assert hub.clock.monotonic() - began <= 2

    assert len(await hub.keys(other)) == 3


async def test_a_client_that_is_at_rest_has_no_mark_and_no_task(hub: Hub) -> None:
    store = hub.client()
    await begin(store)
    assert (len(hub.index("marks/")), len(tasks_of_indexes())) == (1, 1)

    await hub.clock.advance(2)

    assert (hub.index("marks/"), tasks_of_indexes()) == ([], [])
    await begin(store, Key("another"))
    await hub.clock.advance(2)
    assert [summary.key for summary in await true_summaries(hub.stored, hub.clock)] == await hub.keys(hub.client())


async def test_a_close_writes_what_is_left_and_leaves_nothing_behind(hub: Hub) -> None:
    await hub.build()
    store = hub.client()
    await begin(store)
    closed, counts = hub.counted()
    await begin(closed, Key("another"))
    counts.take()

    await store.aclose()
    await closed.aclose()
    await closed.aclose()

    assert tasks_of_indexes() == []
    assert hub.index("marks/") == []
    assert counts.take() == {"PUT": 1, "DELETE": 1}
    assert await hub.keys(hub.client()) == ["another", ORDER]
    with pytest.raises(Unavailable, match="closed"):
        await store.append(addition(ORDER, 1))


async def test_a_purged_instance_stays_away_when_an_older_entry_comes_late(hub: Hub) -> None:
    """Its writer was slow; versions decide, not the order in which segments come."""
    await hub.build()
    store = hub.client()
    await begin(store)
    await hub.clock.advance(2)
    late = {name: hub.stored[name] for name in hub.index("segments/")}
    await purge(store, ORDER, 1)
    await hub.clock.advance(2)
    for _ in range(SEGMENTS_MAX + 1):
        await begin(store, Key(f"other-{_}"))
        await hub.clock.advance(1)
    assert not late.keys() & hub.stored.keys()

    await hub.clock.advance(3)
    hub.stored |= {f"{name}9": data for name, data in late.items()}

    assert ORDER not in await hub.keys(hub.client())


async def test_a_client_that_writes_all_the_time_puts_one_object_of_the_index_a_second(hub: Hub) -> None:
    await hub.build()
    store, counts = hub.counted()
    await begin(store)

    for second in range(30):
        for number in range(10):
            await store.append(addition(ORDER, 1 + second * 10 + number))
        await hub.clock.advance(1)

    assert counts.take() == {"PUT": 1 + 1 + 300 + 30}  # mark, create, turns, segments


async def test_ten_thousand_instances_are_scanned_with_a_few_dozen_requests(hub: Hub) -> None:
    await hub.build()
    store, counts = hub.counted()
    for number in range(10_000):
        await store.append(creation(Key(f"order-{number:05}")))
        if number % 100 == 99:
            await hub.clock.advance(1)
    await hub.clock.advance(3)
    assert counts.take()["PUT"] == 1 + 10_000 + 100 + 1  # mark, creates, segments, base
    reader, counts = hub.counted()

    assert len(await hub.keys(reader)) == 10_000
    took = counts.take()
    assert took == {"LIST": 1, "GET": 1 + 100 - SEGMENTS_MAX}
