"""Bytes that earlier releases wrote: every release reads them, for ever."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _record_golden import GOLDEN, edition, history_of, unframed
from codec_support import EVENT_KINDS, MESSAGE_KINDS, MESSAGES

from perdure import codec, events
from perdure.engine import fold
from perdure.errors import Failure
from perdure.ids import Key
from perdure.records import TurnRecord

if TYPE_CHECKING:
    import msgspec

HISTORIES = sorted(GOLDEN.glob("*.bin"))
NEWEST = [file for file in HISTORIES if file.stem == edition(file.stem.partition(".")[0])]
MESSAGE_FILES = sorted((GOLDEN / "messages").glob("*.bin"))
NUMBERS = Path(__file__).parent / "numbers.txt"

STRUCTS: tuple[type[msgspec.Struct], ...] = (TurnRecord, Failure, events.Parent, events.PayloadRef, events.RetryRules)
"""What is stored inside of something else, or around it."""


def is_newest(file: Path) -> bool:
    return file.stem == edition(file.stem.partition(".")[0])


def read(file: Path) -> list[TurnRecord]:
    return [codec.decode_record(data, where=file.name) for data in unframed(file.read_bytes())]


def kinds_in(records: list[TurnRecord]) -> set[str]:
    return {
        type(event).__name__
        for record in records
        for event in (*record.inputs, *record.decisions, record.turn)
        if event is not None
    }


def test_every_event_has_a_golden_history() -> None:
    """Of its newest edition. To add one: core/tests/codec/_record_golden.py."""
    recorded = {file.stem for file in HISTORIES}

    assert recorded >= {edition(kind.__name__) for kind in EVENT_KINDS}
    for file in HISTORIES:
        assert file.stem.partition(".")[0] in kinds_in(read(file)), file


def test_every_message_has_a_golden_file() -> None:
    assert {file.stem for file in MESSAGE_FILES} >= {edition(kind.__name__) for kind in MESSAGE_KINDS}


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_golden_history_is_read_and_makes_sense(file: Path) -> None:
    records = read(file)

    state = fold(Key("order-1"), records)

    assert state.version == records[-1].version
    assert [codec.decode_record(codec.encode(record), where="again") for record in records] == records


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_golden_export_is_read_as_the_same_history(file: Path) -> None:
    lines = file.with_suffix(".jsonl").read_text("utf-8").splitlines()

    assert list(codec.import_lines(lines)) == read(file)


@pytest.mark.parametrize("file", NEWEST, ids=lambda file: file.stem)
def test_a_golden_history_is_written_the_same_again(file: Path) -> None:
    """Byte for byte: two releases in one hub must not disagree about what is a different record (R4)."""
    records = read(file)

    assert [codec.encode(record) for record in records] == list(unframed(file.read_bytes()))
    assert "".join(f"{line}\n" for line in codec.export_lines(records)) == file.with_suffix(".jsonl").read_text("utf-8")


@pytest.mark.parametrize("file", NEWEST, ids=lambda file: file.stem)
def test_a_golden_history_says_what_it_said(file: Path) -> None:
    """Reading and writing could be wrong in the same way."""
    assert read(file) == history_of(file.stem.partition(".")[0])


@pytest.mark.parametrize("file", MESSAGE_FILES, ids=lambda file: file.stem)
def test_a_golden_message_is_read(file: Path) -> None:
    message = codec.decode_message(file.read_bytes(), where=file.name)

    assert type(message).__name__ == file.stem.partition(".")[0]
    if is_newest(file):
        assert message == MESSAGES[type(message).__name__]
        assert codec.encode(message) == file.read_bytes()


# ---- numbers and fields ----------------------------------------------------------------------------------------------


def written_down() -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
    """Read the table: (what, number) → name and fields in their stored order."""
    rows = [line.split() for line in NUMBERS.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    table = {(what, number): (name, tuple(fields)) for what, number, name, *fields in rows}
    assert len(table) == len(rows), "a number stands there twice"
    return table


def as_they_are() -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
    kinds = (("event", EVENT_KINDS), ("message", MESSAGE_KINDS), ("struct", STRUCTS))
    return {
        (what, str(kind.__struct_config__.tag if what != "struct" else kind.__name__)): (
            kind.__name__,
            kind.__struct_fields__,
        )
        for what, members in kinds
        for kind in members
    }


def test_event_numbers_are_never_reused() -> None:
    """A number that once meant another event would turn old histories into nonsense. Reserved ones count as used."""
    table = written_down()

    for place, (name, _) in as_they_are().items():
        assert place in table, f"write {place} {name} into {NUMBERS.name}"
        assert table[place][0] == name
    names = [(what, name) for (what, _), (name, _) in table.items()]
    assert len(set(names)) == len(names), "a name has two numbers"


def test_every_number_that_was_given_out_is_still_read() -> None:
    """A kind that is no longer written must still be read."""
    reserved = {place for place, (_, fields) in written_down().items() if fields == ("reserved",)}

    assert set(written_down()) - reserved == set(as_they_are())


def test_fields_are_only_ever_appended() -> None:
    """They are stored by position. Appended ones are written down, and have a default for those who lack them."""
    for place, (name, fields) in as_they_are().items():
        assert written_down()[place][1] == fields, f"{name}: append new fields, at the end of its row in {NUMBERS.name}"


def test_the_numbers_that_events_reserve_are_written_down() -> None:
    assert events.__doc__ is not None
    reserved = [
        f"{number} {name}" for (what, number), (name, fields) in written_down().items() if fields == ("reserved",)
    ]

    text = " ".join(events.__doc__.split())
    assert reserved
    assert all(one in text for one in reserved)
