"""A queue with sessions on a clock that stands still: who holds what, and until when."""

from __future__ import annotations

import pytest
from _receiver import COMPLETE, Place, Receiver, raw
from perdure_servicebus_emulator import Queue
from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._session_queue import SessionQueue
from perdure_servicebus_emulator._stored import Outcome, Settlement


class Sessions(Place):
    """A queue with sessions, locked for a minute."""

    def __init__(self) -> None:
        super().__init__(Queue("q", requires_session=True, lock_seconds=60))
        assert isinstance(self.queue, SessionQueue)
        self.sessions = self.queue

    def send_to(self, session_id: str, *bodies: str) -> None:
        """Send messages of a session."""
        self.queue.send([raw(body, session_id=session_id) for body in bodies])

    def accept(self, session_id: str) -> Receiver:
        """Hold a session, and receive what is in it."""
        receiver = Receiver()
        receiver.session = self.sessions.accept_session(session_id, receiver)
        self.sessions.pump_session(receiver.session)
        return receiver

    def wait(self, seconds: float = 30) -> Receiver:
        """Ask for the next free session."""
        receiver = Receiver()
        self.sessions.wait_for_session(receiver, seconds)
        return receiver


@pytest.fixture
def place() -> Sessions:
    return Sessions()


def test_the_holder_gets_the_messages_of_its_session_only(place: Sessions) -> None:
    place.send_to("one", "a")
    holder = place.accept("one")

    place.send_to("two", "x")
    place.send_to("one", "b")

    assert holder.texts == ["a", "b"]


def test_a_lost_session_takes_its_messages_along(place: Sessions) -> None:
    place.send_to("one", "a")
    loser = place.accept("one")
    token = loser.deliveries[0].token

    place.let_time_pass(60)

    assert loser.ended is not None
    assert loser.ended.condition == Condition.SESSION_LOST
    heir = place.accept("one")
    assert [(delivery.text, delivery.message.deliveries) for delivery in heir.deliveries] == [("a", 1)]
    with pytest.raises(Refused) as refused:
        place.queue.settle(token, COMPLETE)
    assert refused.value.condition == Condition.SESSION_LOST


def test_a_renewed_session_keeps_the_locks_of_its_messages(place: Sessions) -> None:
    place.send_to("one", "a")
    holder = place.accept("one")
    place.let_time_pass(50)
    assert place.sessions.renew_session("one") == place.clock.now() + 60

    place.let_time_pass(50)

    place.queue.settle(holder.deliveries[0].token, COMPLETE)
    assert place.sessions.list_sessions() == []


def test_a_session_that_is_given_back_counts_no_delivery(place: Sessions) -> None:
    place.send_to("one", "a")
    holder = place.accept("one")
    assert holder.session is not None

    place.sessions.release_session(holder.session)

    assert [delivery.message.deliveries for delivery in place.accept("one").deliveries] == [0]


def test_who_waits_longest_gets_the_session_that_was_free_longest(place: Sessions) -> None:
    place.send_to("one", "a")
    place.send_to("two", "b")

    first, second, third = place.wait(), place.wait(), place.wait()

    assert [waiter.session and waiter.session.id for waiter in (first, second, third)] == ["one", "two", None]
    place.send_to("three", "c")
    assert third.session is not None
    assert third.session.id == "three"


def test_who_has_waited_for_long_enough_hears_it_once(place: Sessions) -> None:
    waiter = place.wait(seconds=30)
    place.let_time_pass(29)
    assert waiter.ended is None

    place.let_time_pass(1)

    assert waiter.ended is not None
    assert waiter.ended.condition == Condition.TIMEOUT
    place.send_to("one", "a")
    assert waiter.session is None


def test_a_state_outlives_messages_and_holders(place: Sessions) -> None:
    holder = place.accept("one")
    place.sessions.set_session_state("one", b"half way")
    assert holder.session is not None
    place.sessions.release_session(holder.session)
    assert place.sessions.list_sessions() == ["one"]
    with pytest.raises(Refused):
        place.sessions.set_session_state("one", b"of somebody who does not hold it")

    heir = place.accept("one")

    assert heir.session is not None
    assert heir.session.state == b"half way"
    place.sessions.set_session_state("one", None)
    place.sessions.release_session(heir.session)
    assert place.sessions.list_sessions() == []


def test_a_deferred_message_is_taken_by_who_holds_its_session(place: Sessions) -> None:
    place.send_to("one", "a")
    holder = place.accept("one")
    held = holder.deliveries[0]
    place.queue.settle(held.token, Settlement(Outcome.DEFER))
    place.accept("two")

    with pytest.raises(Refused):
        place.queue.receive_deferred([held.message.sequence], keeps_lock=True, session_id="two")

    ((message, token),) = place.queue.receive_deferred([held.message.sequence], keeps_lock=True, session_id="one")
    assert message.locked_until == place.clock.now() + 60
    place.queue.settle(token, COMPLETE)


def test_nothing_is_left_of_a_session_that_is_done(place: Sessions) -> None:
    """Ten thousand sessions a day must not stay for ever."""
    for number in range(1_000):
        place.send_to(f"session {number}", "a")
        holder = place.accept(f"session {number}")
        place.queue.settle(holder.deliveries[0].token, COMPLETE)
        assert holder.session is not None
        place.sessions.release_session(holder.session)

    assert list(place.sessions._sessions) == []
    place.let_time_pass(3600)
    assert place.broker.next_due() is None
