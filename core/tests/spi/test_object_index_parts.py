"""The pure parts of the index: merging entries, and telling the dead from the living."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi.object_history._index import Entry, merge, without_old
from perdure.spi.object_history._watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence


def entry(key: str, version: int, forget_at: float = 0.0) -> Entry:
    return Entry(key, version, None, forget_at)


def test_the_highest_version_of_each_key_counts_in_whatever_order_it_comes() -> None:
    entries = [entry("b", 2), entry("a", 1), entry("b", 3), entry("b", 1)]

    expected = (entry("a", 1), entry("b", 3))

    assert merge(entries) == merge(entries[::-1]) == merge(entries[:2], entries[2:]) == expected
    assert merge([entry("a", 1, 7.0)], [entry("a", 1)]) == (entry("a", 1, 7.0),)


def test_a_tombstone_is_given_an_hour_once() -> None:
    assert without_old([entry("a", 1)], now=10.0) == (entry("a", 1, 3610.0),)
    assert without_old([entry("a", 1, 3610.0)], now=3609.0) == (entry("a", 1, 3610.0),)
    assert without_old([entry("a", 1, 3610.0)], now=3610.0) == ()


def look(watch: Watch, marks: dict[str, int], at: float) -> None:
    watch.take_in(marks, began=at, ended=at + 1)


def silent(watch: Watch, marks: Sequence[str], since: float) -> list[str]:
    return watch.silent(marks, since)


def test_a_mark_that_was_just_seen_for_the_first_time_is_neither_heard_nor_dead() -> None:
    watch = Watch(10)
    look(watch, {"a": 5}, at=100)

    assert silent(watch, ["a"], since=0) == ["a"]
    assert not watch.is_dead("a")


def test_a_mark_is_heard_when_its_number_grows_and_gone_when_it_is_not_listed() -> None:
    watch = Watch(10)
    look(watch, {"a": 5, "b": 1}, at=100)
    look(watch, {"a": 6}, at=101)

    assert silent(watch, ["a", "b"], since=101) == []
    assert silent(watch, ["a"], since=102) == ["a"]


def test_a_mark_is_dead_when_it_stood_still_from_the_end_of_one_look_to_the_start_of_another() -> None:
    """Merged segments are deleted: a lower number is no news."""
    watch = Watch(10)
    look(watch, {"a": 5}, at=100)
    look(watch, {"a": 0}, at=110)
    assert not watch.is_dead("a")

    look(watch, {"a": 5}, at=111)
    assert watch.is_dead("a")

    look(watch, {"a": 6}, at=112)
    assert not watch.is_dead("a")
