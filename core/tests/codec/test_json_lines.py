"""Histories as JSON lines: for people to read, and nothing is lost on the way there and back."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from codec_support import EPOCH, PAYLOAD, REFERENCE, RULES, SAMPLES, record_of
from hypothesis import given
from hypothesis import strategies as st

from perdure import codec, events
from perdure.errors import Failure, Misuse, TooNew
from perdure.records import TurnRecord


def there_and_back(record: TurnRecord) -> TurnRecord:
    (line,) = codec.export_lines([record])
    json.loads(line, parse_constant=_refuse)  # strict JSON: `NaN` is none
    (again,) = codec.import_lines([line])
    return again


def _refuse(constant: str) -> float:
    raise AssertionError(constant)


def shown(payload: events.Payload) -> Any:
    """Give what people see of a payload."""
    (line,) = codec.export_lines([record_of(events.TaskCompleted(1, payload))])
    return json.loads(line)["inputs"][0]["result"]


def imported(**changes: Any) -> list[TurnRecord]:
    """Import a good line with some fields changed; `...` takes one out."""
    (line,) = codec.export_lines([record_of(SAMPLES["ExecutionStarted"])])
    members = json.loads(line) | changes
    return list(codec.import_lines([json.dumps({k: v for k, v in members.items() if v is not ...})]))


# ---- every event -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_every_field_of_every_event_survives(name: str) -> None:
    record = record_of(SAMPLES[name])

    assert codec.encode(there_and_back(record)) == codec.encode(record)


def test_a_record_that_nobody_ran_survives() -> None:
    record = TurnRecord(1, "t", "i", 0, None, (events.ExecutionStarted("x", b"\xc0", 1, EPOCH),), ())

    assert there_and_back(record) == record


def test_a_history_is_one_line_per_record_with_names() -> None:
    records = [record_of(SAMPLES["TaskScheduled"]), record_of(SAMPLES["TaskCompleted"])]

    lines = list(codec.export_lines(records))

    assert list(codec.import_lines(lines)) == records
    first = json.loads(lines[0])
    assert list(first) == list(TurnRecord.__struct_fields__)
    assert first["turn"] == {
        "event": "TurnStarted",
        "now": EPOCH + 1,
        "worker": "worker-1",
        "code_version": "code-1",
        "python_minor": 12,
    }
    assert first["decisions"][0]["retry"]["retry_on"] == ["TimeoutError", "shop.Busy"]


def test_newlines_in_texts_do_not_break_lines() -> None:
    record = record_of(events.TaskFailed(1, Failure("E", "one\ntwo\r\u2028three", "a\nb")))

    (line,) = codec.export_lines([record])

    assert "\n" not in line
    assert there_and_back(record) == record


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_does_not_have_survive(number: float) -> None:
    """`null` would come back as no number at all."""
    for event in (
        events.TimerCreated(1, number),
        events.TaskScheduled(1, "a", b"\xc0", timeout=number, retry=msgspec.structs.replace(RULES, max_delay=number)),
    ):
        record = record_of(event)
        assert codec.encode(there_and_back(record)) == codec.encode(record)


# ---- payloads --------------------------------------------------------------------------------------------------------


def test_payloads_are_shown_as_json_where_that_loses_nothing() -> None:
    assert shown(PAYLOAD) == {"order": 4711, "lines": ["a", 2.5, None, True], "ü": "€"}


def test_payloads_out_of_line_are_shown_as_references() -> None:
    assert shown(REFERENCE) == {"$payload": ["4kq/r/17-9xw/2", 123_456, "0123456789abcdef"]}
    assert there_and_back(record_of(events.TaskCompleted(1, REFERENCE))).inputs == (events.TaskCompleted(1, REFERENCE),)


ODD = {
    "nothing": b"",
    "no msgpack": b"\xc1",
    "cut msgpack": PAYLOAD[:-1],
    "text that is none": b"\xa1\xff",
    "more than one value": b"\xc0\xc0",
    "a wider form than needed": b"\xd9\x01a",
    "a whole number as a float": msgspec.msgpack.encode(1.0),
    "minus zero": msgspec.msgpack.encode(-0.0),
    "not a number": msgspec.msgpack.encode(math.nan),
    "infinity within": msgspec.msgpack.encode([1, {"x": math.inf}]),
    "the text nan": msgspec.msgpack.encode("nan"),
    "bytes": msgspec.msgpack.encode(b"\x00\xff"),
    "a moment": msgspec.msgpack.encode(datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)),
    "an extension": msgspec.msgpack.encode(msgspec.msgpack.Ext(5, b"x")),
    "what msgspec writes as text": msgspec.msgpack.encode(
        [date(2026, 1, 2), timedelta(days=1), Decimal("1.10"), UUID(int=5)]
    ),
    "a huge number": msgspec.msgpack.encode(2**64 - 1),
    "a very negative number": msgspec.msgpack.encode(-(2**63)),
    "a float of full length": msgspec.msgpack.encode(0.1 + 0.2),
    "a narrow float": b"\xca\x3f\xc0\x00\x00",
    "keys that are numbers": msgspec.msgpack.encode({1: "a", 2.5: "b"}),
    "a key twice": b"\x82\xa1a\x01\xa1a\x02",
    "a key like ours": msgspec.msgpack.encode({"$msgpack": "wA=="}),
    "another key like ours": msgspec.msgpack.encode({"$payload": ["a", 1, "b"]}),
    "a key with a dollar": msgspec.msgpack.encode({"$": 1, "a": 2}),
    "a key like ours within": msgspec.msgpack.encode({"a": {"$msgpack": 1}, "b": [{"$payload": 2}]}),
    "a key named event": msgspec.msgpack.encode({"event": "TaskCompleted", "seq": 1}),
    "text beyond the plane": msgspec.msgpack.encode("\U0001f600\u0000\u2028"),
    "very deep": b"\x91" * 100_000 + b"\xc0",
}


@pytest.mark.parametrize("payload", ODD.values(), ids=ODD.keys())
def test_odd_payloads_survive_byte_for_byte(payload: bytes) -> None:
    for event in (events.TaskCompleted(1, payload), events.EventRaised("e", payload, "m")):
        record = record_of(event)
        assert there_and_back(record) == record


@pytest.mark.parametrize("name", ["nothing", "bytes", "a moment", "not a number", "a key with a dollar", "very deep"])
def test_what_json_would_change_is_shown_as_base64(name: str) -> None:
    assert list(shown(ODD[name])) == ["$msgpack"]


@pytest.mark.parametrize("name", ["a whole number as a float", "minus zero", "the text nan", "a key like ours within"])
def test_what_json_can_hold_is_shown_plainly(name: str) -> None:
    assert shown(ODD[name]) == msgspec.msgpack.decode(ODD[name])


plain_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("$msgpack"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain_values.map(msgspec.msgpack.encode) | st.binary())
def test_any_payload_survives_byte_for_byte(payload: bytes) -> None:
    record = record_of(events.TaskCompleted(1, payload))

    assert there_and_back(record) == record


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "{",
        "7",
        "null",
        '"text"',
        "[1, 2]",
        "{}",
        '{"version": 1}',
        "[" * 100_000,
    ],
    ids=lambda line: line[:20],
)
def test_a_line_that_is_no_record_is_refused_with_its_number(line: str) -> None:
    (good,) = codec.export_lines([record_of(SAMPLES["TaskCompleted"])])
    lines = codec.import_lines([good, "", line])

    assert next(lines) == record_of(SAMPLES["TaskCompleted"])
    with pytest.raises(Misuse, match="Line 3 of the history is not a record of `perdure history --json`"):
        next(lines)


def test_blank_lines_are_passed_over() -> None:
    assert list(codec.import_lines(["", " \n", "\n"])) == []


STARTED: dict[str, Any] = {"event": "ExecutionStarted", "name": "x", "input": None, "seed": 1, "created_at": 5.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "one"},
        {"version": ...},
        {"inputs": None},
        {"inputs": [7]},
        {"inputs": [{}]},
        {"inputs": [{"event": ["TaskCompleted"]}]},
        {"inputs": [{"event": "TaskCompleted", "result": 1}]},
        {"inputs": [{"event": "TaskCompleted", "seq": 1, "result": {"$msgpack": "no base64!"}}]},
        {"inputs": [{"event": "TaskCompleted", "seq": 1, "result": {"$msgpack": 5}}]},
        {"inputs": [{"event": "TaskCompleted", "seq": 1, "result": {"$payload": ["a"]}}]},
        {"inputs": [{"event": "TimerFired", "seq": "three"}]},
        {"inputs": [{"event": "TurnStarted", "now": 1, "worker": "", "code_version": "", "python_minor": 1}]},
        {"inputs": [STARTED | {"created_at": "soon"}]},
        {"inputs": [STARTED | {"parent": 5}]},
        {"turn": {"event": "TurnStarted", "now": None, "worker": "", "code_version": "", "python_minor": 1}},
    ],
    ids=repr,
)
def test_a_record_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match="Line 1 of the history"):
        imported(**changes)


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(Misuse, match=r"Line 1 .*KeyError\('seed'\)"):
        imported(inputs=[{name: value for name, value in STARTED.items() if name != "seed"}])


def test_an_event_of_a_newer_release_is_too_new() -> None:
    with pytest.raises(TooNew, match="holds an event 'PatchMarked' that this release does not know: use a newer one"):
        imported(decisions=[{"event": "PatchMarked", "patch_id": "x"}])


def test_a_field_of_a_newer_release_is_skipped() -> None:
    (record,) = imported(color="blue", inputs=[STARTED | {"mood": {"a": 1}}])

    assert record.inputs == (events.ExecutionStarted("x", b"\xc0", 1, 5.0),)


def test_fields_that_an_older_release_did_not_have_get_their_defaults() -> None:
    """Wherever they stand: what follows must not slip into their place."""
    (record,) = imported(sent_upto=..., inputs=[STARTED | {"queue": "orders", "trace_context": "t"}])

    assert record.sent_upto == 0
    assert record.inputs == (events.ExecutionStarted("x", b"\xc0", 1, 5.0, queue="orders", trace_context="t"),)
