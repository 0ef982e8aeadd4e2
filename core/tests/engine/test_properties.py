"""Any life of an instance: what must hold after each turn, whatever arrives, in whatever order, however often."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from engine_support import (
    BEGUN,
    EPOCH,
    INCARNATION,
    KEY,
    RETURNED,
    Story,
    as_values,
    child,
    child_ended,
    opened,
    raise_event,
    task,
    task_ended,
    timer,
    unable,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure import codec, events
from perdure.engine import Verdict, classify, envelope, fold, hop, inputs_of, plan_resend, retry_wake, turns_queue, wake
from perdure.messages import Message, TimerDue, Wake
from perdure.spi import Delivery, Envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

lives = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STEPS_MAX = 12
KINDS = ["tasks", "children", "timers", "cancel", "forget"]


class Life:
    """One instance, its messages on their way, and a worker that handles them as the real one does.

    Messages arrive in any order and any number; all but wakes may arrive again. Nothing crashes here.

    Attributes:
        under_way: Messages that are sent and not completed.
        timer_messages: Every timer message that was ever sent.
    """

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.story = Story()
        self.now = EPOCH
        self.under_way: list[Envelope] = [wake(KEY, INCARNATION, BEGUN, "orders")]
        self.timer_messages: list[Envelope] = []

    def go_on(self) -> None:
        """Let some time pass and some messages arrive."""
        self.now += self.draw(st.sampled_from([0.0, 0.5, 3.0, 40.0]))
        self._send_from_outside()
        arrived = self._receive()
        run = [message for message in arrived if self._judge(message) is Verdict.RUN]
        if run or self.draw(st.integers(0, 3)) == 0:
            self._turn([opened(each) for each in run])

    def _send_from_outside(self) -> None:
        state = self.story.state
        strangers: list[Message] = [task_ended(99), raise_event("e1", incarnation="another"), child_ended(1)]
        answers: list[Message] = [*map(task_ended, state.tasks), *map(child_ended, state.children)]
        raises: list[Message] = [raise_event(f"e{number}") for number in range(4)]
        possible: list[Message] = [*strangers, *raises, *answers, *answers]
        for message in self.draw(st.lists(st.sampled_from(possible), max_size=4)):
            self.under_way.append(envelope(turns_queue("orders"), KEY, "from outside", message))

    def _receive(self) -> list[Envelope]:
        due = [each for each in self.under_way if each.not_before <= self.now or self.draw(st.integers(0, 9)) == 0]
        chosen = [each for each in self.draw(st.permutations(due)) if self.draw(st.booleans())]
        for each in chosen:
            if isinstance(opened(each), Wake) or self.draw(st.integers(0, 3)):
                self.under_way.remove(each)
        return chosen

    def _judge(self, message: Envelope) -> Verdict:
        state = self.story.state
        verdict = classify(state, opened(message), now=self.now, authoritative=True)
        if verdict is Verdict.EARLY:
            self.under_way.append(hop(state, opened(message), Delivery(message, "", 1, 0.0)))
        return verdict

    def _turn(self, messages: Sequence[Message]) -> None:
        state = self.story.state
        if state.is_closed:
            return
        at = max(self.now, state.now)
        inputs = inputs_of(state, messages, at)
        attempts = [m.attempt for m in messages if isinstance(m, Wake) and (m.attempt or state.stalled is None)]
        attempt = max(attempts, default=None)
        failed = self.draw(st.sampled_from([None, None, unable("one reason"), unable("another reason")]))
        if failed is not None and state.stalled is not None and failed.reason == state.stalled.reason and not inputs:
            if attempt is not None:
                self.under_way.append(retry_wake(state, attempt + 1, at))
            return
        decisions = (failed,) if failed is not None else self._decisions()
        plan = self.story.turn(*decisions, inputs=inputs, at=at - EPOCH, wake_attempt=attempt)
        for sent in plan.step.send:
            if sent.queue == "turns:orders":
                self.under_way.append(sent)
            if isinstance(opened(sent), TimerDue):
                self.timer_messages.append(sent)

    def _decisions(self) -> tuple[events.DECISIONS, ...]:
        state = self.story.state
        seq = state.last_seq
        decisions: list[events.DECISIONS] = []
        for kind in self.draw(st.lists(st.sampled_from(KINDS), max_size=4)):
            seq += 1
            if kind == "tasks":
                decisions.append(task(seq, self.draw(st.binary(max_size=120))))
            elif kind == "children":
                decisions.append(child(seq, self.draw(st.binary(max_size=120))))
            elif kind == "timers":
                decisions.append(
                    timer(seq, self.now - EPOCH + self.draw(st.sampled_from([-1.0, 0.0, 2.0, 10.0, 60.0])))
                )
            elif kind == "cancel" and state.timers.open:
                decisions.append(events.TimerCanceled(self.draw(st.sampled_from(sorted(state.timers.open)))))
            elif kind == "forget" and state.tasks:
                decisions.append(events.TaskCancelRequested(self.draw(st.sampled_from(sorted(state.tasks)))))
        return (*decisions, RETURNED) if self.draw(st.integers(0, 19)) == 0 else tuple(decisions)


def live(data: st.DataObject) -> Life:
    life = Life(data)
    for _ in range(data.draw(st.integers(1, STEPS_MAX))):
        life.go_on()
    return life


@lives
@given(st.data())
def test_the_state_at_hand_is_what_its_records_say(data: st.DataObject) -> None:
    """Cached and read anew are the same: else workers would decide differently on one history."""
    story = live(data).story

    assert as_values(story.state) == as_values(fold(KEY, story.records))


@lives
@given(st.data())
def test_s3b_s4_nothing_is_consumed_twice(data: st.DataObject) -> None:
    story = live(data).story

    consumed = Counter(
        event.message_id if isinstance(event, events.EventRaised) else getattr(event, "seq", "start")
        for record in story.records
        for event in record.inputs
    )
    assert set(consumed.values()) <= {1}


@lives
@given(st.data())
def test_r5_two_derivations_are_equal_byte_for_byte(data: st.DataObject) -> None:
    story = live(data).story
    packed = []
    for _ in range(2):
        state = fold(KEY, story.records)
        state.sent_upto = 0
        packed.append(msgspec.msgpack.encode(plan_resend(state)))

    assert packed[0] == packed[1]


@lives
@given(st.data())
def test_r5_where_all_was_sent_nothing_is_owed(data: st.DataObject) -> None:
    """No worker died: each turn may vouch for those before it, and a duplicate sends nothing again."""
    story = live(data).story

    again = plan_resend(story.state)

    assert (again.create, again.send) == ((), ())


@lives
@given(st.data())
def test_r19_the_earliest_timer_always_has_its_message_under_way(data: st.DataObject) -> None:
    """Were it to get lost, the timer would never fire."""
    life = live(data)
    timers = life.story.state.timers
    due = [opened(each) for each in life.under_way]

    if timers.open:
        assert TimerDue(INCARNATION, 0, timers.armed_version) in due
        assert life.story.state.next_due() == max(min(timers.open.values()), _time_of(life.story, timers.armed_version))


def _time_of(story: Story, version: int) -> float:
    record = next(record for record in story.records if record.version == version)
    assert record.turn is not None
    return record.turn.now


@lives
@given(st.data())
def test_r19_a_turn_arms_one_timer_at_most(data: st.DataObject) -> None:
    sent = Counter(opened(each).version for each in live(data).timer_messages)  # type: ignore[union-attr]

    assert set(sent.values()) <= {1}


@lives
@given(st.data())
def test_r15_a_stalled_instance_has_exactly_one_try_under_way(data: st.DataObject) -> None:
    """None would leave it lying, two would multiply for ever."""
    life = live(data)
    state = life.story.state
    tries = [
        message
        for each in life.under_way
        if isinstance(message := opened(each), Wake) and message.attempt
        if classify(state, message, now=life.now, authoritative=True) is Verdict.RUN
    ]

    if state.stalled is not None:
        assert len(tries) == 1


@lives
@given(st.data())
def test_how_inputs_are_batched_does_not_change_what_is_open(data: st.DataObject) -> None:
    """A busy worker takes them all at once, a quick one takes each by itself."""
    story = live(data).story
    if story.state.is_closed:
        return
    messages: list[Message] = [
        *(task_ended(seq) for seq in story.state.tasks),
        *(child_ended(seq) for seq in story.state.children),
        *(raise_event(f"late-{number}") for number in range(3)),
    ]
    messages = data.draw(st.permutations(messages * 2))
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=len(messages), max_size=len(messages)))

    at_once = _consume(story, [messages])
    bit_by_bit = _consume(story, _split(messages, sizes))

    assert at_once == bit_by_bit


def _split(messages: list[Message], sizes: list[int]) -> list[list[Message]]:
    rest = list(messages)
    batches: list[list[Message]] = []
    for size in sizes:
        batches.append(rest[:size])
        rest = rest[size:]
    return batches


def _consume(story: Story, batches: list[list[Message]]) -> tuple[dict[str, Any], list[events.INPUTS]]:
    """Feed batches to the instance at one moment; give what is open then, and what was consumed in which order."""
    copy = Story()
    copy.records = list(story.records)
    copy.reload()
    now = copy.state.now
    consumed: list[events.INPUTS] = []
    for batch in batches:
        run = [m for m in batch if classify(copy.state, m, now=now, authoritative=True) is Verdict.RUN]
        inputs = inputs_of(copy.state, run, now)
        consumed.extend(inputs)
        copy.turn(inputs=inputs)
    values = as_values(copy.state)
    return {name: values[name] for name in ("tasks", "children", "open", "raised", "pending", "status")}, consumed


@lives
@given(st.data())
def test_every_record_survives_both_encodings(data: st.DataObject) -> None:
    records = live(data).story.records

    assert [codec.decode_record(codec.encode(record), where="a test") for record in records] == records
    assert list(codec.import_lines(codec.export_lines(records))) == records
