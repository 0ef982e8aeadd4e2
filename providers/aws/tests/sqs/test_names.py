"""Names of queues in SQS, and messages as text: pure, so told by values."""

from __future__ import annotations

import re

import pytest
from perdure_conformance.material import KEYS

from perdure.spi import Corrupt, Envelope, Key, Misuse, QueueName, TooNew
from perdure_aws._settings import Place
from perdure_aws.sqs._limits import CAPABILITIES, REQUEST_BYTES_MAX
from perdure_aws.sqs._messages import read_message, write_message
from perdure_aws.sqs._names import hub_part, queue_names

PLACES = [
    Place("orders", ""),
    Place("orders", "eu"),
    Place("orders", "eu/west"),
    Place("orders", "eu-west"),
    Place("orders-eu", "west"),
    Place("o" * 63, "p" * 120),
    Place("o" * 63, "p" * 119 + "q"),
]
QUEUES = ["turns:default", "tasks:default", "tasks:Default", "tasks:mail/eu", "tasks:mail-eu", "tasks:почта", "tasks:"]
QUEUES += [f"tasks:{'x' * 199}y", f"tasks:{'x' * 200}"]
TASKS = QueueName("tasks:mail")


def test_no_two_queues_share_a_name_and_sqs_takes_them_all() -> None:
    """However alike hubs and queues look, and however long they are."""
    named = [queue_names(place, QueueName(queue)) for place in PLACES for queue in QUEUES]

    names = [name for both in named for name in (both.main, both.dead)]
    assert len(set(names)) == len(PLACES) * len(QUEUES) * 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name) for name in names)


def test_names_never_change() -> None:
    """A release that derives others would leave every message behind."""
    names = queue_names(Place("orders", "eu/west"), QueueName("turns:default"))

    assert names.main == "orders-eu-west-turns-default-lqi3zooqr2x4b3lq"
    assert names.dead == "orders-eu-west-turns-default-lqi3zooqr2x4b3lq-dead"


def test_rights_can_be_given_by_the_beginning_of_names() -> None:
    for place in PLACES:
        assert queue_names(place, TASKS).main.startswith(f"{hub_part(place)}-")


@pytest.mark.parametrize(
    "body", [b"", b'{"text": "as it is"}', "Grüße\n\t".encode(), b"line\r\n", b"\x00", b"\xff\xfe"]
)
def test_a_message_is_read_as_it_was_written(body: bytes) -> None:
    for key in KEYS.values():
        sent = Envelope(TASKS, f"{key}/0/1", key, body, not_before=1700000000.25, partition=7)

        read, header = read_message(write_message(sent), TASKS)

        assert read == sent
        assert header.reason == ""


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_what_is_written_holds_only_what_sqs_takes(key: Key) -> None:
    text = write_message(Envelope(TASKS, key, key, b"\x00\xff"), reason=f"{key}\x00\ud800", delivery_count=3)

    assert re.fullmatch("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*", text)


def test_only_what_is_no_text_is_encoded() -> None:
    """Base64 is a third more to pay for, and nobody can read it in the console."""
    assert write_message(Envelope(TASKS, "m", Key("g"), b"plain")).endswith("\nplain")
    assert write_message(Envelope(TASKS, "m", Key("g"), b"\x00")).endswith("\nAA==")


def test_the_largest_message_fits_with_the_longest_reason() -> None:
    """A message that could not be put aside would never be."""
    longest = Key("🦆" * 256)
    body = b"\xff" * CAPABILITIES["tasks"].body_bytes_max

    text = write_message(Envelope(TASKS, f"{longest}/1/2", longest, body), reason="🦆" * 20_000, delivery_count=10)

    assert len(text.encode()) <= REQUEST_BYTES_MAX


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Misuse, match="use shorter ones"):
        write_message(Envelope(TASKS, "🦆" * 5000, Key("g"), b""))
    with pytest.raises(Misuse, match="lone surrogate"):
        write_message(Envelope(TASKS, "\ud800", Key("g"), b""))


@pytest.mark.parametrize(
    "text", ["hello", "", "perdure/1 ", "perdure/1 {}\n", 'perdure/1 ["m","g",0,0,1]\n!', 'perdure/1 ["m"]\nbody']
)
def test_what_is_no_message_is_told(text: str) -> None:
    with pytest.raises(Corrupt, match="tasks:mail"):
        read_message(text, TASKS)


def test_a_newer_format_is_left_to_a_newer_worker() -> None:
    with pytest.raises(TooNew):
        read_message('perdure/2 ["m"]\nbody', TASKS)


def test_fields_that_a_newer_release_appends_are_passed_over() -> None:
    envelope, header = read_message('perdure/1 ["m","g",7,0,0,"why",3,"new"]\nbody', TASKS)

    assert (envelope.body, header.reason, header.delivery_count) == (b"body", "why", 3)
