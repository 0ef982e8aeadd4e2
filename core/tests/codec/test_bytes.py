"""Records and messages as bytes: nothing is lost, nothing damaged is believed, nothing newer is misread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from codec_support import (
    EVENT_KINDS,
    FAILURE,
    MESSAGE_KINDS,
    MESSAGES,
    PARENT,
    REFERENCE,
    RULES,
    SAMPLES,
    VERSION,
    opened,
    record_of,
    sealed,
)

from perdure import codec, events
from perdure.errors import Corrupt, PerdureError, TooNew
from perdure.records import TurnRecord

if TYPE_CHECKING:
    from perdure.messages import Message

EVENT = SAMPLES["TaskFailed"]
RECORD = record_of(EVENT)
DATA = codec.encode(RECORD)
INPUTS_AT = TurnRecord.__struct_fields__.index("inputs")
"""Where the inputs stand in the stored array of a record."""


def read(data: bytes) -> TurnRecord:
    return codec.decode_record(data, where="order-1: record 7")


# ---- samples that say something --------------------------------------------------------------------------------------


def test_there_is_a_sample_of_every_event_and_message() -> None:
    assert set(SAMPLES) == {kind.__name__ for kind in EVENT_KINDS}
    assert set(MESSAGES) == {kind.__name__ for kind in MESSAGE_KINDS}


@pytest.mark.parametrize("sample", [*SAMPLES.values(), *MESSAGES.values(), RULES, FAILURE, PARENT, REFERENCE, RECORD])
def test_every_field_of_a_sample_is_filled(sample: msgspec.Struct) -> None:
    """A default that comes back may just as well have been lost."""
    for field in msgspec.structs.fields(sample):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        assert getattr(sample, field.name) != default, field.name


# ---- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_every_field_of_every_event_survives(name: str) -> None:
    record = record_of(SAMPLES[name])

    again = read(codec.encode(record))

    assert again == record
    assert codec.encode(again) == codec.encode(record)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_of_every_message_survives(name: str) -> None:
    assert codec.decode_message(codec.encode(MESSAGES[name]), where="a message") == MESSAGES[name]


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\xff" * 300, bytes(range(256)), REFERENCE])
def test_payloads_survive_byte_for_byte(payload: events.Payload) -> None:
    record = record_of(events.TaskCompleted(1, payload))

    assert read(codec.encode(record)) == record


def test_a_record_that_nobody_ran_survives() -> None:
    record = TurnRecord(1, "t", "i", 0, None, (SAMPLES["ExecutionStarted"],), ())

    assert read(codec.encode(record)) == record
    assert not read(codec.encode(record)).was_run


def test_a_turn_that_failed_was_not_run() -> None:
    assert record_of(EVENT).was_run
    assert not record_of(SAMPLES["TurnFailed"]).was_run


# ---- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", range(len(DATA)))
def test_cut_bytes_are_corrupt(length: int) -> None:
    with pytest.raises(Corrupt, match="order-1: record 7"):
        read(DATA[:length])


@pytest.mark.parametrize("position", range(len(DATA)))
def test_every_flipped_bit_is_found(position: int) -> None:
    """In the header too: a flipped format number must not send a damaged record to a newer worker."""
    for bit in range(8):
        damaged = bytearray(DATA)
        damaged[position] ^= 1 << bit

        with pytest.raises(Corrupt, match="order-1: record 7"):
            read(bytes(damaged))


@pytest.mark.parametrize("added", [b"\x00", b"\xc0", DATA])
def test_added_bytes_are_corrupt(added: bytes) -> None:
    with pytest.raises(Corrupt, match="damaged"):
        read(DATA + added)


UNREADABLE = {
    "nothing": b"",
    "no type of msgpack": b"\xc1",
    "a cut array": DATA[7:-1],
    "something after it": DATA[7:] + b"\xc0",
    "text that is none": DATA[7:].replace(b"turn-1", b"turn-\xff"),
    "a field beyond any depth": b"\x99" + DATA[8:] + b"\x91" * 100_000 + b"\xc0",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_msgpack_under_a_right_checksum_is_corrupt(body: bytes) -> None:
    with pytest.raises(Corrupt, match="no msgpack"):
        read(sealed(body))


def test_a_damaged_message_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="a turn message"):
        codec.decode_message(codec.encode(MESSAGES["Wake"])[:-1], where="a turn message")


def test_an_error_shows_where_and_what() -> None:
    with pytest.raises(Corrupt, match=r"order-1: record 7 does not begin like a record of Perdure: b'SQLite f'"):
        read(b"SQLite format 3")
    with pytest.raises(Corrupt, match=r"its checksum is [0-9a-f]{8}, [0-9a-f]{8} was recorded"):
        read(DATA[:-1] + b"\x00")


# ---- newer releases --------------------------------------------------------------------------------------------------


def test_a_newer_format_is_too_new() -> None:
    with pytest.raises(TooNew, match="format 2 and codec 1, this release reads 1 and 1: use a newer worker"):
        read(sealed(DATA[7:], major=2))


def test_another_codec_is_too_new() -> None:
    """Compressed or encrypted: whatever it is, this release does not know it."""
    with pytest.raises(TooNew, match="format 1 and codec 2"):
        read(sealed(b"anything", codec=2))


def with_event(event: object) -> bytes:
    """Write a record whose only input is this."""
    plain = opened(DATA)
    plain[INPUTS_AT] = [event]
    return sealed(plain)


@pytest.mark.parametrize("event", [[250, 1, 2], [60, 1.0, "w", "c", 12], [11, "one", b""]], ids=repr)
def test_an_event_that_cannot_stand_there_is_too_new(event: object) -> None:
    """An unknown number, a known one in a new place, a field of a new type."""
    with pytest.raises(TooNew, match="order-1: record 7 holds what this release does not know"):
        read(with_event(event))


def test_an_unknown_message_is_too_new() -> None:
    with pytest.raises(TooNew, match="use a newer worker"):
        codec.decode_message(sealed([99, "first", 1]), where="a message")


def test_every_refusal_is_one_that_workers_know() -> None:
    """Whatever bytes a queue holds: a worker that met another exception would take it for its own defect."""
    bodies: list[Any] = [None, 1, "text", [], {}, [1], [[]], {"version": 1}, list(range(20)), [None] * 9]
    for body in bodies:
        for decode in (codec.decode_record, codec.decode_message):
            with pytest.raises(PerdureError):
                decode(sealed(body), where="it")


def test_fields_that_a_newer_release_appended_are_skipped() -> None:
    """Records, events, failures, references: a newer worker may have written any of them."""
    members = opened(DATA)
    event = members[INPUTS_AT][0]
    number, seq, failure = event
    newer_failure = [*failure[:3], [*failure[3], "new"], *failure[4:], "new"]
    members[INPUTS_AT] = [[number, seq, newer_failure, "new"]]
    members[4] = [*members[4], "new"]

    assert read(sealed([*members, "new", ["new"]])) == RECORD


@pytest.mark.parametrize("sample", [*SAMPLES.values(), *MESSAGES.values(), RULES, FAILURE, PARENT, REFERENCE], ids=repr)
def test_a_field_that_a_newer_release_appended_to_any_struct_is_skipped(sample: msgspec.Struct) -> None:
    stored = [*msgspec.msgpack.decode(msgspec.msgpack.encode(sample)), {"of": ["a", "newer", "release"]}]

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(stored), type=type(sample)) == sample


@pytest.mark.parametrize("name", [*SAMPLES, *MESSAGES])
def test_fields_that_an_older_release_did_not_have_get_their_defaults(name: str) -> None:
    """Only fields with a default may have been appended; the others were there from the beginning."""
    sample: Any = MESSAGES.get(name) or SAMPLES[name]
    required = [field.name for field in msgspec.structs.fields(sample) if field.required]
    oldest = type(sample)(**{field: getattr(sample, field) for field in required})
    stored = [type(sample).__struct_config__.tag, *(getattr(sample, field) for field in required)]
    packed = msgspec.msgpack.encode(stored)

    assert msgspec.msgpack.decode(packed, type=type(sample)) == oldest
    assert type(sample).__struct_fields__[: len(required)] == tuple(required)


def test_a_record_of_before_the_watermark_reads_as_not_sent() -> None:
    assert read(sealed(opened(DATA)[:-1])).sent_upto == 0
    assert RECORD.sent_upto == VERSION - 1


def test_messages_and_records_are_not_taken_for_each_other() -> None:
    message: Message = MESSAGES["Wake"]

    with pytest.raises(TooNew):
        read(codec.encode(message))
    with pytest.raises(TooNew):
        codec.decode_message(DATA, where="it")
