"""What each call costs in requests: a service bills every one of them."""

from __future__ import annotations

import pytest
from _object_services import CountingObjects
from perdure_conformance.material import ORDER, addition, begin, creation, read_head

from perdure.spi import Environment, NotModified, ObjectHistoryStore, Query
from perdure.testing import ManualClock, SeededEntropy


class Client:
    """A store and the counter of its requests."""

    def __init__(self, stored: dict[str, bytes]) -> None:
        self.objects = CountingObjects(stored)
        self.store = ObjectHistoryStore(self.objects, Environment(ManualClock(), SeededEntropy(1)))


@pytest.fixture
def stored() -> dict[str, bytes]:
    return {}


@pytest.fixture
def warm(stored: dict[str, bytes]) -> Client:
    return Client(stored)


@pytest.fixture
def cold(stored: dict[str, bytes]) -> Client:
    return Client(stored)


async def test_a_start_is_one_put(warm: Client) -> None:
    await warm.store.append(creation(ORDER))

    assert warm.objects.take() == {"PUT": 1}


async def test_a_turn_of_a_remembered_history_is_one_put(warm: Client) -> None:
    await begin(warm.store)
    warm.objects.take()

    for version in range(1, 20):
        await warm.store.append(addition(ORDER, version))

    assert warm.objects.take() == {"PUT": 19}


async def test_a_turn_of_a_history_that_is_not_remembered_is_one_get_more(warm: Client, cold: Client) -> None:
    await begin(warm.store)

    await cold.store.append(addition(ORDER, 1))

    assert cold.objects.take() == {"GET": 1, "PUT": 1}


async def test_a_turn_that_fills_the_tail_is_one_put_more(warm: Client) -> None:
    await begin(warm.store)
    await warm.store.append(addition(ORDER, 1, record=b"x" * 60_000))
    warm.objects.take()

    await warm.store.append(addition(ORDER, 2, record=b"x" * 60_000))

    assert warm.objects.take() == {"PUT": 2}


async def test_loading_a_usual_instance_is_one_get(warm: Client, cold: Client) -> None:
    await begin(warm.store, records=50)

    await read_head(cold.store, ORDER)

    assert cold.objects.take() == {"GET": 1}


async def test_a_read_after_a_known_version_leaves_sealed_chunks_alone(warm: Client, cold: Client) -> None:
    await begin(warm.store)
    for version in range(1, 6):
        await warm.store.append(addition(ORDER, version, record=b"x" * 60_000))

    await read_head(cold.store, ORDER, after=5)

    assert cold.objects.take() == {"GET": 1}


async def test_a_status_that_has_not_changed_is_one_conditional_get(warm: Client, cold: Client) -> None:
    await begin(warm.store)
    token = (await read_head(cold.store, ORDER)).token
    cold.objects.take()

    assert await cold.store.read(ORDER, known=token) == NotModified()
    assert cold.objects.take() == {"304": 1}


async def test_a_conflict_costs_one_get_to_be_sure(warm: Client, cold: Client) -> None:
    """And no put where the remembered head shows it already."""
    await begin(warm.store, records=3)

    await warm.store.append(addition(ORDER, 1, turn_id="late"))
    assert warm.objects.take() == {"PUT": 3, "304": 1}

    await read_head(cold.store, ORDER)
    await warm.store.append(addition(ORDER, 3))
    cold.objects.take()
    await cold.store.append(addition(ORDER, 3, turn_id="rival"))
    assert cold.objects.take() == {"PUT": 1, "GET": 1}


async def test_a_scan_lists_once_and_reads_each_head(warm: Client, cold: Client) -> None:
    """Without an index what a scan costs grows with the hub; `test_object_index.py` counts it with one."""
    for number in range(5):
        await begin(warm.store, type(ORDER)(f"order-{number}"))

    assert len([found async for found in cold.store.scan(Query())]) == 5
    assert cold.objects.take() == {"LIST": 1, "GET": 5}
