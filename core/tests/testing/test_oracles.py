"""Each oracle sees what it is there for: a sound history, broken in one way, gives one finding."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import perdure
from perdure import Event, activity, codec, events, orchestration
from perdure.authoring import Registry
from perdure.engine import fold
from perdure.errors import Failure
from perdure.ids import Key, child_incarnation
from perdure.messages import ChildEnded, RaiseEvent, RunTask, TaskEnded, TimerDue, Wake
from perdure.records import TurnRecord
from perdure.spi import Append, Committer, Conflict, Done, Head, QueueName, Step, StoredPayload, WorkerId
from perdure.testing import ORACLES, Effect, Expected, verify
from perdure.testing._oracles import check_history, check_replay
from perdure.testing._oracles_hub import (
    OnItsWay,
    check_effects,
    check_events,
    check_families,
    check_stalled,
    check_work,
    count_repeated,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from perdure.testing._oracles import Finding
    from perdure.testing._oracles_hub import Told

FIRST = 1_700_000_000_000
EPOCH = FIRST / 1000
WRONG = Failure("ValueError", "wrong")


def turn(seconds: float) -> events.TurnStarted:
    return events.TurnStarted(now=EPOCH + seconds, worker="w", code_version="c", python_minor=11)


def record(number: int, inputs: Sequence[Any] = (), decisions: Sequence[Any] = (), **changes: Any) -> TurnRecord:
    """Make record `number` of incarnation `one`, run at second `number`; number 0 is the creation."""
    made = TurnRecord(
        version=FIRST + number,
        turn_id=f"turn-{number}",
        incarnation="one",
        execution=0,
        turn=turn(number) if number else None,
        inputs=tuple(inputs),
        decisions=tuple(decisions),
    )
    return msgspec.structs.replace(made, **changes)


STARTED = events.ExecutionStarted(name="order", input=b"\x01", seed=1, created_at=EPOCH)
TASK = events.TaskScheduled(1, "issue", b"\x01")
TIMER = events.TimerCreated(2, EPOCH + 2)
CHILD = events.SubOrchestrationCreated(3, "part", "order:3", b"\x01")
DONE = events.ExecutionCompleted(b"\xc0")


def sound() -> list[TurnRecord]:
    """Give a history with one of each: an activity, a timer, a sub-orchestration, an event."""
    return [
        record(0, [STARTED]),
        record(1, [], [TASK, TIMER, CHILD]),
        record(2, [events.TimerFired(2), events.TaskCompleted(1, b"\x02"), events.EventRaised("go", b"\x03", "m1")]),
        record(3, [events.SubOrchestrationCompleted(3, b"\x04")], [DONE]),
    ]


def broken(index: int, **changes: Any) -> list[TurnRecord]:
    """Give the sound history with one record changed."""
    history = sound()
    history[index] = msgspec.structs.replace(history[index], **changes)
    return history


def codes(findings: Sequence[Finding]) -> list[str]:
    assert {finding.code for finding in findings} <= set(ORACLES)
    return [finding.code for finding in findings]


# ── one history ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sound_history_has_no_findings() -> None:
    assert check_history("order-1", sound()) == []


def test_a_finding_names_oracle_instance_and_record() -> None:
    found = check_history("order-1", broken(2, version=FIRST + 7))

    assert str(found[0]) == f"H2 'order-1': record {FIRST + 7} follows record {FIRST + 1}"


@pytest.mark.parametrize(
    ("code", "history"),
    [
        pytest.param("H2", broken(3, version=FIRST + 4), id="a record is missing"),
        pytest.param("H2", broken(3, version=FIRST + 2), id="a version is used twice"),
        pytest.param("R4", broken(2, turn_id="turn-1"), id="a turn is recorded twice"),
        pytest.param("S1", broken(2, incarnation="two"), id="a record of another incarnation"),
        pytest.param("S1", broken(3, execution=-1), id="an execution goes back"),
        pytest.param("S1", broken(0, inputs=()), id="nothing begins it"),
        pytest.param("S1", broken(2, inputs=(STARTED,)), id="it begins twice"),
        pytest.param("S3b", broken(1, decisions=(TIMER, CHILD)), id="an outcome of what was never asked for"),
        pytest.param("S3b", broken(2, inputs=(events.TimerFired(1),)), id="a timer answers an activity"),
        pytest.param("S3b", broken(2, inputs=(events.SubOrchestrationFailed(1, WRONG),)), id="a child answers it"),
        pytest.param("S3b", broken(2, decisions=(TASK,)), id="a seq is asked for twice"),
        pytest.param("S3b", broken(1, decisions=(TASK, TIMER, CHILD, events.TimerCanceled(9))), id="cancels nothing"),
        pytest.param("S3b", broken(2, decisions=(events.TaskCancelRequested(3),)), id="outcome of a cancelled task"),
        pytest.param("S4", broken(3, inputs=(events.TaskFailed(1, WRONG),)), id="an activity has two outcomes"),
        pytest.param("S4", broken(3, inputs=(events.TimerFired(2),)), id="a timer fires twice"),
        pytest.param("S4", broken(3, inputs=(events.EventRaised("go", b"", "m1"),)), id="an event is consumed twice"),
        pytest.param("S6", [*sound(), record(4)], id="a record follows the last one"),
        pytest.param("S6", broken(3, decisions=(DONE, events.TimerCreated(4, EPOCH))), id="a decision follows the end"),
        pytest.param("S6", broken(3, decisions=(DONE, DONE)), id="it ends twice"),
        pytest.param(
            "S8", broken(1, decisions=(TASK, events.TimerCreated(2, EPOCH + 2.5), CHILD)), id="a timer is early"
        ),
        pytest.param("S8", broken(3, turn=turn(1.9)), id="the clock goes back"),
    ],
)
def test_a_history_that_breaks_one_rule_gives_that_finding(code: str, history: list[TurnRecord]) -> None:
    found = codes(check_history("order-1", history))

    assert set(found) == {code}


def test_what_only_recorded_its_inputs_is_no_jump_of_the_clock() -> None:
    """A record without a turn has no time of its own; it must not pull the clock back to zero."""
    assert check_history("order-1", broken(2, turn=None, inputs=(events.TaskCompleted(1, b"\x02"),))) == []


def test_an_outcome_that_came_in_the_turn_that_cancels_its_task_is_allowed() -> None:
    """Inputs are fed one by one: an earlier one of the same turn may have had the task cancelled."""
    assert check_history("order-1", broken(2, decisions=(events.TaskCancelRequested(1),))) == []


# ── replay ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@activity
async def issue(number: int) -> int:
    return number + 1


go: Event[int] = Event("go")


@orchestration
async def part(number: int) -> int:
    return await issue(number)


@orchestration
async def order(number: int) -> int:
    first = await issue(number)
    await asyncio.sleep(0.01)
    return first + await part(number) + await go()


@orchestration(name="order")
async def other_order(number: int) -> int:
    await asyncio.sleep(number)
    return await issue(number)


@orchestration(name="order")
async def order_with_another_input(number: int) -> int:
    first = await issue(number + 1)
    await asyncio.sleep(0.01)
    return first + await part(number) + await go()


REGISTRY = Registry([order, part, issue])


async def finished(hub: perdure.Hub) -> list[TurnRecord]:
    """Run an order to its end, and give its records."""
    async with hub.worker(order, part, issue):
        run = await hub.start(order(1), id="order-1")
        await run.send(go, 10, event_id="go-1")
        assert await run.result(timeout_seconds=30) == 14
    return list((await hub.history("order-1")).records)


@pytest.fixture
async def hub() -> AsyncIterator[perdure.Hub]:
    async with perdure.connect("memory:") as opened:
        yield opened


async def test_code_that_did_not_change_decides_again_what_is_recorded(hub: perdure.Hub) -> None:
    history = await finished(hub)

    assert check_replay("order-1", history, order.program, exact=True) == []
    assert check_replay("order-1", history, order.program, exact=False) == []


@pytest.mark.parametrize("exact", [True, False])
async def test_code_that_decides_otherwise_is_found(hub: perdure.Hub, *, exact: bool) -> None:
    history = await finished(hub)

    assert codes(check_replay("order-1", history, other_order.program, exact=exact)) == ["replay"]


async def test_another_input_is_found_only_where_replay_must_be_exact(hub: perdure.Hub) -> None:
    """A changed input must stall nobody, so it is no finding where code may have changed."""
    history = await finished(hub)

    assert check_replay("order-1", history, order_with_another_input.program, exact=False) == []
    assert codes(check_replay("order-1", history, order_with_another_input.program, exact=True)) == ["replay"]


async def test_a_result_that_the_code_does_not_give_is_found(hub: perdure.Hub) -> None:
    """As a record that was computed from another history would hold (S1)."""
    history = await finished(hub)
    history[-1] = msgspec.structs.replace(history[-1], decisions=(events.ExecutionCompleted(b"\x63"),))

    assert codes(check_replay("order-1", history, order.program, exact=True)) == ["replay"]


async def test_inputs_of_turns_that_failed_are_fed_to_the_next_one(hub: perdure.Hub) -> None:
    history = await finished(hub)
    failed = events.TurnFailed(WRONG, "wrong")
    index = next(i for i, one in enumerate(history) if any(isinstance(e, events.TimerFired) for e in one.inputs))
    before = msgspec.structs.replace(history[index], decisions=(failed,))
    history[index : index + 1] = [before, msgspec.structs.replace(history[index], inputs=())]

    assert check_replay("order-1", history, order.program, exact=True) == []


def test_a_child_that_was_canceled_without_running_is_not_replayed() -> None:
    """Its code never ran (R10): nothing is to be compared."""
    history = [record(0, [STARTED]), record(1, [], [events.ExecutionCanceled("nobody waits")])]

    assert check_replay("order-1", history, order.program, exact=True) == []


# ── between instances ────────────────────────────────────────────────────────────────────────────────────────────────


def open_order() -> list[TurnRecord]:
    """Give a history that waits for its activity, timer and sub-orchestration."""
    return sound()[:2]


def child_of_order(*decisions: Any) -> list[TurnRecord]:
    incarnation = child_incarnation("one", 0, 3)
    parent = events.Parent("order-1", "one", 0, 3, "default")
    started = msgspec.structs.replace(STARTED, name="part", parent=parent)
    records = [record(0, [started]), record(1, [], decisions)]
    return [msgspec.structs.replace(one, incarnation=incarnation) for one in records]


def hub_of(**histories: list[TurnRecord]) -> dict[str, Told]:
    keys = {"order": "order-1", "child": "order:3"}
    return {keys[name]: tell(keys[name], records) for name, records in histories.items()}


def way(*messages: Any, group: str = "order-1", is_atomic: bool = True) -> OnItsWay:
    on_its_way = OnItsWay(is_atomic=is_atomic)
    for message in messages:
        on_its_way.add(group, message)
    return on_its_way


RUN_TASK = RunTask("one", 0, FIRST + 1, "default", TASK)
WAKE = Wake("one", FIRST)


@pytest.mark.parametrize(
    "message", [RUN_TASK, TaskEnded("one", 0, events.TaskCompleted(1, b""))], ids=lambda m: type(m).__name__
)
def test_an_open_activity_has_a_message_or_its_outcome_has(message: Any) -> None:
    hub = hub_of(order=open_order(), child=child_of_order(TASK))

    assert codes(check_work(hub, way(message), EPOCH)) == ["L2"]  # the child's own activity has none
    assert codes(check_work(hub, way(), EPOCH)) == ["L2", "L2"]


def test_a_message_for_another_execution_does_not_count() -> None:
    other = RunTask("two", 0, FIRST + 1, "default", TASK)

    assert codes(check_work(hub_of(order=open_order(), child=child_of_order()), way(other), EPOCH)) == ["L2"]


def test_a_pending_instance_has_a_message_that_wakes_it() -> None:
    hub = hub_of(order=sound()[:1])

    assert codes(check_work(hub, way(), EPOCH)) == ["L1"]
    assert check_work(hub, way(WAKE), EPOCH) == []


def test_a_sub_orchestration_that_was_asked_for_is_there() -> None:
    assert codes(check_work(hub_of(order=open_order()), way(RUN_TASK), EPOCH)) == ["L1"]
    assert check_work(hub_of(order=open_order(), child=child_of_order()), way(RUN_TASK), EPOCH) == []


@pytest.mark.parametrize("message", [WAKE, RunTask("one", 0, FIRST, "default", TASK)], ids=lambda m: type(m).__name__)
def test_where_steps_are_not_atomic_a_message_for_the_instance_makes_up_for_what_is_unsent(message: Any) -> None:
    """A crash between record and outbox leaves the input, whose second delivery sends the outbox (R5)."""
    assert check_work(hub_of(order=open_order()), way(message, is_atomic=False), EPOCH) == []
    assert codes(check_work(hub_of(order=open_order()), way(WAKE, is_atomic=True), EPOCH)) == ["L2", "L1"]


def test_where_steps_are_not_atomic_a_parent_wakes_its_child_again() -> None:
    """A crash between a child's creation and its wake-up leaves the parent's input, which creates the child again."""
    child = child_of_order()[:1]

    assert check_work(hub_of(order=open_order(), child=child), way(WAKE, is_atomic=False), EPOCH) == []
    assert codes(check_work(hub_of(order=open_order(), child=child), way(RUN_TASK), EPOCH)) == ["L1"]


def test_a_timer_that_is_due_has_a_message_for_its_instance() -> None:
    """One that is not due cannot be received, so it is not missed."""
    hub = hub_of(order=[record(0, [STARTED]), record(1, [], [TIMER])])

    assert codes(check_work(hub, way(), now=EPOCH + 2)) == ["L1"]
    assert check_work(hub, way(TimerDue("one", 0, FIRST + 1)), now=EPOCH + 2) == []
    assert check_work(hub, way(), now=EPOCH + 1.9) == []


def test_an_instance_that_begins_later_is_not_woken_before() -> None:
    later = msgspec.structs.replace(STARTED, scheduled_start=EPOCH + 2)

    assert check_work(hub_of(order=[record(0, [later])]), way(), now=EPOCH + 1.9) == []
    assert codes(check_work(hub_of(order=[record(0, [later])]), way(), now=EPOCH + 2)) == ["L1"]


def test_a_closed_instance_wants_nothing() -> None:
    assert check_work(hub_of(order=sound()), way(), EPOCH) == []


def test_a_parent_that_waits_for_an_ended_child_has_a_message() -> None:
    hub = hub_of(order=open_order(), child=child_of_order(DONE))
    ended = ChildEnded("one", 0, events.SubOrchestrationCompleted(3, b""))

    assert codes(check_families(hub, way())) == ["L4"]
    assert check_families(hub, way(ended)) == []


def test_a_parent_knows_nothing_that_its_child_does_not() -> None:
    """A message that left before its record was there would tell of what never happened (S3)."""
    running, failed = child_of_order(), child_of_order(events.ExecutionFailed(WRONG))

    assert codes(check_families(hub_of(order=sound(), child=running), way())) == ["S3"]
    assert codes(check_families(hub_of(order=sound(), child=failed), way())) == ["S3"]
    assert check_families(hub_of(order=sound(), child=child_of_order(DONE)), way()) == []


def test_a_parent_does_not_hold_a_running_child_for_failed() -> None:
    parent = broken(3, inputs=(events.SubOrchestrationFailed(3, WRONG),))

    assert codes(check_families(hub_of(order=parent, child=child_of_order()), way())) == ["S3"]


def test_a_child_of_an_earlier_incarnation_is_nobodys() -> None:
    parent = [msgspec.structs.replace(one, incarnation="two") for one in open_order()]

    assert check_families(hub_of(order=parent, child=child_of_order(DONE)), way()) == []


def test_an_accepted_event_is_recorded_or_on_its_way_or_too_late() -> None:
    raised = RaiseEvent("one", events.EventRaised("go", b"", "m1"), EPOCH)
    sent = [("order-1", "m1")]

    assert codes(check_events(hub_of(order=open_order()), sent, way())) == ["L3"]
    assert check_events(hub_of(order=open_order()), sent, way(raised)) == []
    assert check_events(hub_of(order=sound()[:3]), sent, way()) == []
    assert check_events(hub_of(order=sound()), [("order-1", "m2")], way()) == []


def test_a_stalled_instance_is_found_unless_it_is_expected() -> None:
    stalled = tell("order-1", [*open_order(), record(2, [], [events.TurnFailed(WRONG, "wrong")])])
    going = tell("order-2", [*open_order(), record(2, [], [events.TurnFailed(WRONG, "wrong")]), record(3)])

    assert codes(check_stalled({"order-1": stalled, "order-2": going}, ())) == ["stalled"]
    assert check_stalled({"order-1": stalled, "order-2": going}, {"order-1"}) == []


# ── the world ────────────────────────────────────────────────────────────────────────────────────────────────────────

BEGUN, HAD_EFFECT = Effect("one/0/1", 1, is_done=False), Effect("one/0/1", 1, is_done=True)


def test_what_is_recorded_as_completed_was_done() -> None:
    assert check_effects(hub_of(order=sound()), [BEGUN, HAD_EFFECT]) == []
    assert codes(check_effects(hub_of(order=sound()), [BEGUN])) == ["effects"]


def test_what_is_recorded_as_failed_was_begun_unless_it_was_given_up() -> None:
    failed = broken(2, inputs=(events.TaskFailed(1, WRONG),))
    given_up = broken(2, inputs=(events.TaskFailed(1, Failure("perdure.Poisoned", "")),))

    assert codes(check_effects(hub_of(order=failed), [])) == ["effects"]
    assert check_effects(hub_of(order=failed), [BEGUN]) == []
    assert check_effects(hub_of(order=given_up), []) == []


def test_an_attempt_is_looked_for_under_the_first_one_of_its_task() -> None:
    second = events.TaskScheduled(4, "issue", b"", attempt=2, attempt_of=1)
    history = [
        *sound()[:2],
        record(2, [events.TaskFailed(1, WRONG)], [second]),
        record(3, [events.TaskCompleted(4, b"")]),
    ]
    effects = [BEGUN, Effect("one/0/1", 2, is_done=False)]

    assert codes(check_effects(hub_of(order=history), effects)) == ["effects"]
    assert check_effects(hub_of(order=history), [*effects, Effect("one/0/1", 2, is_done=True)]) == []


def test_what_ran_was_asked_for_by_a_record() -> None:
    """An activity whose turn was never committed must not run (S3)."""
    strange = Effect("one/0/9", 1, is_done=False)

    assert codes(check_effects(hub_of(order=open_order()), [strange])) == ["S3"]


def test_attempts_that_began_again_are_counted() -> None:
    assert count_repeated([BEGUN, BEGUN, HAD_EFFECT, BEGUN, HAD_EFFECT, BEGUN._replace(attempt=2)]) == 2


# ── verify: a hub as a whole ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_hub_that_was_worked_with_is_sound(hub: perdure.Hub) -> None:
    await finished(hub)
    expected = Expected(started=("order-1",), sent=(("order-1", "go-1"),))

    report = await verify(hub, REGISTRY, expected=expected, is_exact=True, is_quiet=True)

    assert report.ok, report
    assert (report.statuses, report.replayed_count) == ({"Completed": 2}, 2)
    assert report.record_count > 6
    assert str(report).startswith("0 findings. Instances: 2 Completed;")


async def test_an_instance_that_was_acknowledged_and_is_not_there_is_found(hub: perdure.Hub) -> None:
    report = await verify(hub, expected=Expected(started=("order-1",)))

    assert codes(report.findings) == ["R1"]
    assert str(report).endswith("\n  R1 'order-1': its start returned, and it is not there")


async def test_an_instance_that_was_purged_is_not_missed(hub: perdure.Hub) -> None:
    history = await finished(hub)
    await hub._hub.store.purge(Key("order-1"), history[-1].version)

    assert (await verify(hub, expected=Expected(started=("order-1",)))).ok


async def test_what_waits_in_a_quiet_hub_is_seen_and_given_back(hub: perdure.Hub) -> None:
    """The look into the queues must not take away what it looks at."""
    await hub.start(order(1), id="order-1")

    assert (await verify(hub, is_quiet=True)).ok
    report = await verify(hub, is_quiet=True)
    assert report.ok, report
    assert report.statuses == {"Pending": 1}
    await hub.send("order-1", go, 10)
    async with hub.worker(order, part, issue):
        assert await (await hub.get("order-1")).result(timeout_seconds=30) == 14


async def test_a_message_that_is_lost_is_missed(hub: perdure.Hub) -> None:
    await hub.start(order(1), id="order-1")
    await take_all(hub, "turns:default")

    report = await verify(hub, is_quiet=True)

    assert codes(report.findings) == ["L1"]


async def test_a_message_of_an_open_instance_among_the_dead_letters_is_found(hub: perdure.Hub) -> None:
    await hub.start(order(1), id="order-1")
    queue = hub._hub.queue
    found = await queue.receive(
        QueueName("turns:default"), limit=1, lease_seconds=30, wait_seconds=0, worker=WorkerId("w")
    )
    await queue.dead_letter(found, "nobody wants it")

    report = await verify(hub, is_quiet=True)

    assert codes(report.findings) == ["L1", "Q7"]


async def test_a_hub_at_work_is_not_judged_by_its_queues(hub: perdure.Hub) -> None:
    """What is on its way between two looks would seem to be lost."""
    await hub.start(order(1), id="order-1")
    await take_all(hub, "turns:default")

    assert (await verify(hub)).ok


async def test_a_summary_that_disagrees_with_the_records_is_found(hub: perdure.Hub) -> None:
    await finished(hub)
    await hub.start(order(1), id="order-2")
    await append(hub, "order-2", record(1), status="Completed")

    report = await verify(hub)

    assert codes(report.findings) == ["H8"]


async def test_a_record_that_nobody_can_read_is_found(hub: perdure.Hub) -> None:
    await hub.start(order(1), id="order-1")
    await append(hub, "order-1", record(1), data=b"no record")

    report = await verify(hub)

    assert codes(report.findings) == ["H5"]


async def test_a_record_under_a_wrong_version_is_found(hub: perdure.Hub) -> None:
    """What the store says of a record and what the record says of itself must agree."""
    await hub.start(order(1), id="order-1")
    await append(hub, "order-1", record(1), data=codec.encode(record(5)))

    assert codes((await verify(hub)).findings) == ["H5"]


async def test_a_payload_that_is_gone_is_found(hub: perdure.Hub) -> None:
    big = events.PayloadRef("one/in", 5, "0" * 16)
    await hub.start(order(1), id="order-1")
    await append(hub, "order-1", record(1, [events.EventRaised("go", big, "m1")]))

    assert codes((await verify(hub, REGISTRY)).findings) == ["R16"]


async def test_a_payload_that_is_another_one_is_found(hub: perdure.Hub) -> None:
    big = events.PayloadRef("one/in", 5, "0" * 16)
    await hub._hub.store.put_payload(StoredPayload(Key("order-1"), "one/in"), b"12345")
    await hub.start(order(1), id="order-1")
    await append(hub, "order-1", record(1, [events.EventRaised("go", big, "m1")]))

    assert codes((await verify(hub, REGISTRY)).findings) == ["R16"]


class ForgetsToSend(Committer):
    """A committer that breaks C1 to C3: it appends and completes, and sends nothing."""

    def __init__(self, committer: Committer) -> None:
        self.capabilities = committer.capabilities
        self._committer = committer

    async def commit(self, step: Step) -> Done | Conflict:
        return await self._committer.commit(msgspec.structs.replace(step, send=()))


async def test_a_committer_that_sends_nothing_is_found(hub: perdure.Hub) -> None:
    run = await hub.start(order(1), id="order-1")
    hub._hub.committer = ForgetsToSend(hub._hub.committer)
    async with hub.worker(order, part, issue):
        while (await run.summary()).status == "Pending":
            await hub.changed(run.id, await hub.history(run.id), wait_seconds=1)

    report = await verify(hub, REGISTRY, is_exact=True, is_quiet=True)

    assert codes(report.findings) == ["L2"]


async def take_all(hub: perdure.Hub, queue: str) -> None:
    """Lose what a queue holds."""
    found = await hub._hub.queue.receive(
        QueueName(queue), limit=10, lease_seconds=30, wait_seconds=0, worker=WorkerId("w")
    )
    await hub._hub.queue.complete(found)


async def append(
    hub: perdure.Hub, key: str, following: TurnRecord, *, data: bytes | None = None, status: str = "Running"
) -> None:
    """Append a record behind the back of every rule, as the next one of an instance."""
    loaded = await hub._hub.load(Key(key))
    assert loaded.state is not None
    assert isinstance(loaded.head, Head)
    expected = loaded.head.version
    following = msgspec.structs.replace(following, version=expected + 1, incarnation=loaded.state.incarnation)
    if following.turn is not None:
        now = loaded.state.now + 1
        following = msgspec.structs.replace(following, turn=msgspec.structs.replace(following.turn, now=now))
    state = fold(Key(key), [*loaded.records, following])
    await hub._hub.store.append(
        Append(
            key=Key(key),
            turn_id=following.turn_id,
            record=codec.encode(following) if data is None else data,
            version=expected + 1,
            expected=expected,
            summary=msgspec.structs.replace(state.summary(), status=status),
        )
    )
