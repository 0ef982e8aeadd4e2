"""A queue on a clock that stands still: what becomes of a message."""

from __future__ import annotations

import pytest
from _receiver import COMPLETE, Place, Receiver, raw
from perdure_servicebus_emulator import Queue
from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._message import text_pairs
from perdure_servicebus_emulator._stored import Outcome, Settlement, State


def test_a_lock_ends_at_its_moment_and_not_before() -> None:
    place = Place(Queue("q", lock_seconds=60))
    place.send("a")
    (first,) = place.receive()

    place.let_time_pass(59.9)
    assert place.texts() == []

    place.let_time_pass(0.1)
    (again,) = place.receive()
    assert (first.text, again.text, again.message.deliveries) == ("a", "a", 1)


def test_a_late_settlement_is_refused_before_any_timer_has_run() -> None:
    """The clock decides, not when somebody looked at it."""
    place = Place(Queue("q", lock_seconds=60))
    place.send("a")
    (held,) = place.receive()
    place.clock.advance(60)

    with pytest.raises(Refused) as refused:
        place.queue.settle(held.token, COMPLETE)

    assert refused.value.condition == Condition.LOCK_LOST
    place.broker.run_due()
    assert place.texts() == ["a"]


def test_what_is_given_back_keeps_its_place() -> None:
    place = Place(Queue("q"))
    place.send("a", "b", "c")
    (first,) = place.receive(credit=1)

    place.queue.settle(first.token, Settlement(Outcome.ABANDON))

    assert place.texts() == ["a", "b", "c"]


def test_a_renewed_lock_stands_behind_the_others() -> None:
    place = Place(Queue("q", lock_seconds=60))
    place.send("a", "b")
    first, _second = place.receive()
    place.let_time_pass(30)
    assert place.queue.renew([first.token]) == [place.clock.now() + 60]

    place.let_time_pass(30)

    assert place.texts() == ["b"]


def test_renewing_is_all_or_nothing() -> None:
    place = Place(Queue("q", lock_seconds=60))
    place.send("a")
    (held,) = place.receive()
    place.let_time_pass(30)

    with pytest.raises(Refused):
        place.queue.renew([held.token, b"no token of ours"])

    place.let_time_pass(30)
    assert place.texts() == ["a"]


def test_receivers_that_keep_asking_take_turns() -> None:
    place = Place(Queue("q"))
    left, right = Receiver(), Receiver()
    place.queue.ask(left)
    place.queue.ask(right)

    place.send("a", "b", "c", "d")

    assert (left.texts, right.texts) == (["a", "c"], ["b", "d"])


def test_a_batch_is_stored_whole_or_not_at_all() -> None:
    place = Place(Queue("q", message_bytes_max=100))

    with pytest.raises(Refused) as refused:
        place.queue.send([raw("a"), raw("b" * 100)])

    assert refused.value.condition == Condition.MESSAGE_SIZE
    assert place.texts() == []


def test_room_is_given_back_whatever_becomes_of_a_message() -> None:
    """A queue with room for one message takes one after the other."""
    place = Place(Queue("q", size_bytes_max=700, ttl_seconds=10, deliveries_max=1))
    with pytest.raises(Refused) as refused:
        place.send("a", "b")
    assert refused.value.condition == Condition.QUOTA

    place.send("completed")
    place.queue.settle(place.receive()[0].token, COMPLETE)
    place.send("expired")
    place.let_time_pass(10)
    (sequence,) = place.queue.send([raw("cancelled", due=place.clock.now() + 5)])
    place.queue.cancel([sequence, sequence])
    place.send("dead")
    place.queue.settle(place.receive()[0].token, Settlement(Outcome.ABANDON))
    with pytest.raises(Refused):
        place.send("no room beside a dead letter")
    dead = Receiver(keeps_lock=False)
    place.dead_letters.ask(dead)

    assert dead.texts == ["dead"]
    assert place.send("z")


def test_a_dead_letter_says_why() -> None:
    place = Place(Queue("q"))
    place.send("a")
    (held,) = place.receive()
    texts = text_pairs({"DeadLetterReason": "broken", "number": 7})

    place.queue.settle(held.token, Settlement(Outcome.DEAD_LETTER, texts))

    (message,) = place.dead_letters.peek(1, 10)
    assert isinstance(message.content.texts, dict)
    assert message.content.texts["number"] == codec.string("number") + codec.long(7)
    assert codec.string("broken") in message.written()
    assert message.dead_letter_source == "q"


def test_a_scheduled_message_is_appended_when_it_is_due() -> None:
    place = Place(Queue("q", ttl_seconds=10))
    (scheduled,) = place.queue.send([raw("later", due=place.clock.now() + 30)])
    place.let_time_pass(29)
    place.send("now")
    assert place.queue.peek(1, 1)[0].state is State.SCHEDULED

    place.let_time_pass(1)

    now, later = place.receive()
    assert (now.text, later.text) == ("now", "later")
    assert later.message.sequence > now.message.sequence > scheduled
    assert later.message.expires_at == place.clock.now() + 10


def test_a_deferred_message_is_taken_once_however_often_it_is_named() -> None:
    place = Place(Queue("q"))
    (sequence,) = place.send("a")
    place.queue.settle(place.receive()[0].token, Settlement(Outcome.DEFER))
    assert place.texts() == []

    ((message, token),) = place.queue.receive_deferred([sequence, sequence], keeps_lock=True)

    with pytest.raises(Refused) as refused:
        place.queue.receive_deferred([sequence], keeps_lock=True)
    assert refused.value.condition == Condition.MESSAGE_NOT_FOUND
    place.queue.settle(token, COMPLETE)
    assert place.queue.peek(message.sequence, 1) == []


def test_an_id_is_known_for_the_window() -> None:
    place = Place(Queue("q", duplicate_window_seconds=60))
    assert place.queue.send([raw("a", "id"), raw("b", "id"), raw("c")]) == [1, 0, 2]

    place.let_time_pass(60)

    assert place.queue.send([raw("d", "id")]) == [3]
    assert place.texts() == ["a", "c", "d"]


def test_the_broker_says_when_to_look_again() -> None:
    """Locks, schedules and lives are one list: a timer that sleeps until its first entry misses nothing."""
    place = Place(Queue("q", lock_seconds=60))
    begin = place.clock.now()
    assert place.broker.next_due() is None

    place.queue.send([raw("scheduled", due=begin + 90), raw("short", ttl=70), raw("plain")])
    assert place.broker.next_due() == begin + 70
    place.receive()
    assert place.broker.next_due() == begin + 60

    place.let_time_pass(60)
    assert place.broker.next_due() == begin + 70
    place.let_time_pass(10)
    assert place.texts() == ["plain"]
    assert place.broker.next_due() == begin + 90


def test_expired_locks_end_though_the_clock_stands_still() -> None:
    place = Place(Queue("q"))
    place.send("a")
    place.receive()

    place.queue.expire_locks()

    assert place.texts() == ["a"]
