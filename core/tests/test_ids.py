"""Names and keys: what is refused, what is derived, and what must never change."""

from __future__ import annotations

import pytest

from perdure.errors import Misuse
from perdure.ids import (
    INSTANCE_ID_CHARACTERS_MAX,
    PARTITION_COUNT,
    Key,
    check_instance_id,
    check_name,
    child_incarnation,
    message_id,
    partition_of,
    short_id,
)

GOOD = [
    "order",
    "a",
    " ",
    "../x",
    "a/b",
    "%2e",
    "🦆" * 256,
    "x" * 256,
    "\ufeff",
    "\u2028",
    "\u200b",
    "é",
    "e\u0301",
    "'\"`",
]
HIDDEN = ["a\x00", "a\nb", "a\tb", "\x7f", "\x85", "\ud800", "a\udfff", "a\x1b[31m"]


@pytest.mark.parametrize("instance_id", GOOD)
def test_any_text_without_controls_is_an_instance_id(instance_id: str) -> None:
    assert check_instance_id(instance_id) == instance_id


@pytest.mark.parametrize("instance_id", HIDDEN)
def test_control_characters_and_lone_surrogates_are_refused(instance_id: str) -> None:
    with pytest.raises(Misuse, match="control character or lone surrogate"):
        check_instance_id(instance_id)


def test_an_empty_instance_id_is_refused() -> None:
    with pytest.raises(Misuse, match="this one has 0"):
        check_instance_id("")


def test_an_instance_id_that_is_too_long_is_refused_with_the_limit_and_a_way_out() -> None:
    with pytest.raises(Misuse, match=r"1 to 256 characters, this one has 257.*a hash of it"):
        check_instance_id("🦆" * (INSTANCE_ID_CHARACTERS_MAX + 1))


@pytest.mark.parametrize("instance_id", [None, 4711, b"order", ["order"]])
def test_an_instance_id_that_is_no_text_is_refused(instance_id: object) -> None:
    with pytest.raises(Misuse, match=f"text, not {type(instance_id).__name__}"):
        check_instance_id(instance_id)


def test_a_name_is_checked_like_an_instance_id() -> None:
    assert check_name("issue invoice", what="activity") == "issue invoice"
    assert check_name("n" * 200, what="activity") == "n" * 200
    for wrong, message in [
        ("", "has 0"),
        ("n" * 201, "'n{40}' has 201"),
        ("a\nb", "control character"),
        (7, "a name of activity is text, not int"),
    ]:
        with pytest.raises(Misuse, match=f"(?i){message}"):
            check_name(wrong, what="activity")


def test_a_short_id_is_sixteen_characters_that_are_safe_in_file_names() -> None:
    assert short_id(b"\x00" * 10) == "a" * 16
    assert short_id(b"\xff" * 10) == "7" * 16
    assert short_id(bytes(range(10))) == "aaaqeayeaudaocaj"


def test_different_bytes_are_different_short_ids() -> None:
    assert len({short_id(number.to_bytes(10, "big")) for number in range(1000)}) == 1000


def test_a_childs_incarnation_is_the_same_on_every_attempt() -> None:
    """Part of the format: another value would create every open child a second time."""
    assert child_incarnation("aaaqeayeaudaocaj", 3, 7) == child_incarnation("aaaqeayeaudaocaj", 3, 7)
    assert child_incarnation("aaaqeayeaudaocaj", 3, 7) == "htd6ctydrmtcqae2"


def test_a_childs_incarnation_differs_by_parent_execution_and_number() -> None:
    made = {
        child_incarnation(parent, execution, seq) for parent in ("a", "b") for execution in range(5) for seq in range(5)
    }

    assert len(made) == 50


def test_a_message_id_tells_the_record_it_came_from() -> None:
    assert message_id("inc", 2, 5) == "inc/2/5"
    assert message_id("inc", 2, "exists") == "inc/2/exists"


@pytest.mark.parametrize(("key", "partition"), [("order", 152), ("a", 67), ("🦆", 12), ("a/b", 28)])
def test_a_partition_is_part_of_the_wire_format_and_never_changes(key: str, partition: int) -> None:
    assert partition_of(Key(key)) == partition


def test_partitions_are_evenly_used() -> None:
    used = [0] * PARTITION_COUNT
    for number in range(25_600):
        used[partition_of(Key(f"order-{number}"))] += 1

    assert min(used) > 50
    assert max(used) < 200
