"""H8: a scan finds every instance that matches, once, whatever happens meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure.spi import Key, Query
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import CREATED_AT, addition, begin, creation, listed, purge

if TYPE_CHECKING:
    from perdure.spi import HistoryStore

__all__ = ["ScanClauses"]

INSTANCES = [
    creation(Key("alpha"), name="invoicing", status="Running", tags={"shop": "north", "vip": "yes"}),
    creation(Key("alps"), name="invoicing", status="Pending", tags={"shop": "south"}, next_due=CREATED_AT + 10),
    creation(Key("beta"), name="shipping", status="Failed", created_at=CREATED_AT + 50, tags={"shop": "north"}),
    creation(Key("gamma"), name="shipping", status="Completed", created_at=CREATED_AT + 100, parent="alpha"),
    creation(Key("gamma/1"), name="refund", status="Running", stalled="no worker", next_due=CREATED_AT + 20),
    creation(Key("omega"), name="refund", status="Suspended", parent="alpha/", created_at=CREATED_AT + 99.5),
]

QUERIES: dict[str, tuple[Query, list[str]]] = {
    "everything": (Query(), ["alpha", "alps", "beta", "gamma", "gamma/1", "omega"]),
    "one status": (Query(statuses=("Running",)), ["alpha", "gamma/1"]),
    "any of some statuses": (Query(statuses=("Failed", "Completed")), ["beta", "gamma"]),
    "a status nobody has": (Query(statuses=("Terminated",)), []),
    "one name": (Query(names=("shipping",)), ["beta", "gamma"]),
    "any of some names": (Query(names=("refund", "invoicing")), ["alpha", "alps", "gamma/1", "omega"]),
    "a part of a name": (Query(names=("ship",)), []),
    "a prefix": (Query(id_prefix="al"), ["alpha", "alps"]),
    "a prefix that is an id": (Query(id_prefix="gamma"), ["gamma", "gamma/1"]),
    "a prefix in the other case": (Query(id_prefix="AL"), []),
    "a prefix nobody has": (Query(id_prefix="alz"), []),
    "created from": (Query(created_from=CREATED_AT + 50), ["beta", "gamma", "omega"]),
    "created before": (Query(created_to=CREATED_AT + 50), ["alpha", "alps", "gamma/1"]),
    "created between": (Query(created_from=CREATED_AT + 50, created_to=CREATED_AT + 100), ["beta", "omega"]),
    "one tag": (Query(tags={"shop": "north"}), ["alpha", "beta"]),
    "each of some tags": (Query(tags={"shop": "north", "vip": "yes"}), ["alpha"]),
    "a tag with another value": (Query(tags={"shop": "nort"}), []),
    "a tag nobody has": (Query(tags={"vip2": "yes"}), []),
    "stalled": (Query(stalled=True), ["gamma/1"]),
    "due at": (Query(due_before=CREATED_AT + 10), ["alps"]),
    "due later": (Query(due_before=CREATED_AT + 1000), ["alps", "gamma/1"]),
    "due earlier": (Query(due_before=CREATED_AT + 9), []),
    "children": (Query(parent="alpha"), ["gamma"]),
    "several conditions": (Query(names=("refund",), statuses=("Running", "Failed"), stalled=True), ["gamma/1"]),
    "the first few": (Query(limit=3), ["alpha", "alps", "beta"]),
    "the first few that match": (Query(names=("shipping", "refund"), limit=2), ["beta", "gamma"]),
    "a limit above what there is": (Query(id_prefix="al", limit=100), ["alpha", "alps"]),
}

PATTERNS = {
    "percent": ("10%", "100 off"),
    "underscore": ("a_c", "abc"),
    "star": ("a*", "abc"),
    "question mark": ("a?", "ab"),
    "brackets": ("[ab]", "a"),
    "backslash": ("a\\", "a%"),
    "quote": ("a'", "a"),
    "slash": ("a/", "a0"),
    "upper case": ("A", "a"),
    "last character": ("a\U0010ffff", "b"),
    "sharp s": ("ß", "ss"),
    "decomposed": ("e\u0301", "\u00e9"),
}


async def _lag(harness: Harness, store: HistoryStore) -> None:
    """Let pass what a scan may lag behind."""
    await harness.let_time_pass(store.capabilities.scan_lag_seconds)


async def _disturb(writer: HistoryStore, number: int) -> str:
    """Create an instance on either side of a number, change the next one, purge this or a later one; tell which."""
    await begin(writer, Key(f"{number - 1:03}-new"))
    await begin(writer, Key(f"{number:03}-new"))
    await writer.append(addition(Key(f"{number + 1:03}"), 1, status="Completed"))
    gone = Key(f"{number:03}" if number % 2 or number >= 150 else f"{number + 150:03}")
    await purge(writer, gone, 1)
    return gone


class ScanClauses(Contract):
    """Finding instances without knowing their ids."""

    @pytest.mark.parametrize(("query", "expected"), QUERIES.values(), ids=QUERIES.keys())
    async def test_h8_a_scan_yields_what_matches_each_condition(
        self, harness: Harness, query: Query, expected: list[str]
    ) -> None:
        """The sweeper finds lost work by these conditions, and people purge by them."""
        store = await harness.open_store()
        for instance in reversed(INSTANCES):
            await store.append(instance)
        await _lag(harness, store)

        assert await listed(await harness.open_store(), query) == expected

    @pytest.mark.parametrize(("prefix", "other"), PATTERNS.values(), ids=PATTERNS.keys())
    async def test_h8_a_prefix_is_text_and_no_pattern(self, harness: Harness, prefix: str, other: str) -> None:
        """A purge by prefix that takes `_` for any character purges other people's instances."""
        store = await harness.open_store()
        for key in (prefix, prefix + "x", other, other + "x"):
            await begin(store, Key(key))
        await _lag(harness, store)

        assert await listed(store, Query(id_prefix=prefix)) == [prefix, prefix + "x"]

    async def test_h8_a_scan_of_an_empty_hub_yields_nothing(self, harness: Harness) -> None:
        """And ends."""
        assert await listed(await harness.open_store()) == []

    async def test_h8_summaries_come_by_key_in_the_order_of_code_points(self, harness: Harness) -> None:
        """Merging what two hubs hold needs one order; UTF-16 puts emoji elsewhere, locales put case elsewhere."""
        keys = ["Z", "a", "B", "é", "e", "~", "\uffff", "🦆", "a b", "a/b", "a", "ab", "10", "9", "\ue000"]
        store = await harness.open_store()
        for key in dict.fromkeys(keys):
            await begin(store, Key(key))
        await _lag(harness, store)

        assert await listed(store) == sorted(set(keys))

    async def test_h8_a_summary_is_the_one_of_the_last_append(self, harness: Harness) -> None:
        """Every field, and none of an earlier turn or incarnation."""
        store = await harness.open_store()
        first, last = INSTANCES[0], addition(Key("alpha"), 1, status="Failed", tags={"shop": "west"}, next_due=5.5)
        await store.append(first)
        await store.append(last)
        await _lag(harness, store)

        assert [found async for found in store.scan(Query())] == [last.summary]
        assert await listed(store, Query(tags={"shop": "north"})) == []
        assert await listed(store, Query(statuses=("Running",))) == []

    async def test_h8_a_replaced_incarnation_is_listed_once_as_the_new_one(self, harness: Harness) -> None:
        """One id, one instance."""
        store = await harness.open_store()
        closed = await begin(store, Key("alpha"), records=2, status="Completed")
        again = creation(Key("alpha"), "second", turn_id="again", expected=closed, status="Pending")
        await store.append(again)
        await _lag(harness, store)

        assert [found async for found in store.scan(Query())] == [again.summary]

    async def test_h8_pages_are_stable_while_instances_come_change_and_go(self, harness: Harness) -> None:
        """Hubs are never at rest. Who was there from before the scan to its end is listed, exactly once."""
        store, writer = await harness.open_store(), await harness.open_store()
        for number in range(300):
            await begin(store, Key(f"{number:03}"))
        await _lag(harness, store)
        found: list[str] = []
        gone: set[str] = set()

        async for summary in store.scan(Query()):
            found.append(summary.key)
            if summary.key.isdigit() and int(summary.key) % 3 == 0 and summary.key not in gone:
                gone.add(await _disturb(writer, int(summary.key)))

        steady = [key for key in (f"{number:03}" for number in range(300)) if key not in gone]
        assert [key for key in found if key in set(steady)] == steady
        assert found == sorted(set(found))

    async def test_h8_a_thousand_instances_are_all_listed(self, harness: Harness) -> None:
        """More than any page; the last page is full or it is not."""
        store = await harness.open_store()
        keys = [Key(f"order-{number:04}") for number in range(1000)]
        for key in keys:
            await store.append(creation(key))
        await _lag(harness, store)

        assert await listed(store) == keys

    async def test_h8_a_scan_may_be_left_early(self, harness: Harness) -> None:
        """The caller has seen enough; the store goes on working for others."""
        store = await harness.open_store()
        for instance in INSTANCES:
            await store.append(instance)
        await _lag(harness, store)

        scan = store.scan(Query())
        first = await anext(scan)
        await store.append(addition(Key("alpha"), 1))

        assert first.key == "alpha"
        assert await listed(store) == [instance.key for instance in INSTANCES]

    async def test_h8_two_scans_at_once_do_not_disturb_each_other(self, harness: Harness) -> None:
        """A dashboard and the sweeper."""
        store = await harness.open_store()
        for instance in INSTANCES:
            await store.append(instance)
        await _lag(harness, store)

        one, two = store.scan(Query()), store.scan(Query(names=("refund",)))
        pairs = [((await anext(one)).key, (await anext(two)).key) for _ in range(2)]

        assert pairs == [("alpha", "gamma/1"), ("alps", "omega")]
