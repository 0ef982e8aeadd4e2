"""Calls, events and stand-ins inside an orchestration: what they record, and what the code gets back."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from perdure import commands, events
from perdure.authoring import (
    Current,
    Event,
    Orchestration,
    Retry,
    activity,
    activity_info,
    current,
    logger,
    now,
    orchestration,
    rng,
    uuid4,
)
from perdure.errors import ActivityError, Failure, Misuse, SubOrchestrationError
from perdure.replay import TurnDoomed

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Instance

    Begin = Callable[[Orchestration[..., Any]], Instance]

EPOCH = 1_700_000_000.0


@dataclass
class Order:
    id: UUID
    addresses: list[str]


class PaymentDeclined(Exception):
    pass


ORDER = Order(UUID(int=5), ["a", "b"])

payment: Event[Order] = Event("payment")


@activity(retry=Retry(attempts=5, jitter=0.1), timeout=30, queue="mail", raises=[PaymentDeclined])
async def charge(order: Order, to: str = "all") -> Order:
    order.addresses.remove(to)
    return order


@activity
def notify(text: str) -> None: ...


@orchestration(version="4", queue="slow")
async def shipping(order: Order) -> Order:
    return await charge(order)


def pack(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def completed(commands_: tuple[commands.Command, ...]) -> Any:
    (complete,) = commands_
    assert isinstance(complete, commands.Complete)
    return msgspec.msgpack.decode(complete.result)


def failed(commands_: tuple[commands.Command, ...]) -> Failure:
    (fail,) = commands_
    assert isinstance(fail, commands.Fail)
    return fail.failure


# ---- activities ------------------------------------------------------------------------------------------------------


def test_awaiting_an_activity_records_its_name_input_and_options(begin: Begin) -> None:
    (asked,) = begin(shipping).start(ORDER)

    assert asked == commands.ScheduleTask(
        seq=1,
        name="charge",
        input=charge.encode_args(ORDER),
        queue="mail",
        timeout=30.0,
        attempt=1,
        attempt_of=0,
        retry=Retry(attempts=5, jitter=0.1).rules(),
    )


def test_the_recorded_result_comes_back_as_its_annotation_says(begin: Begin) -> None:
    instance = begin(shipping)
    instance.start(ORDER)

    outcome = instance.feed(events.TaskCompleted(1, charge.encode_result(ORDER)))

    assert completed(outcome) == {"id": str(ORDER.id), "addresses": ["a", "b"]}


def test_options_of_a_call_are_recorded_instead_of_those_of_the_decorator(begin: Begin) -> None:
    @orchestration
    async def impatient(order: Order) -> None:
        await charge.options(queue="gpu", timeout=1, retry=None)(order, to="me")

    (asked,) = begin(impatient).start(ORDER)

    assert isinstance(asked, commands.ScheduleTask)
    assert (asked.queue, asked.timeout, asked.retry) == ("gpu", 1.0, None)
    assert asked.input == charge.encode_args(ORDER, "me")


def test_calls_are_recorded_in_the_order_of_starting_and_not_of_making(begin: Begin) -> None:
    @orchestration
    async def backwards() -> None:
        first, second = notify("first"), notify("second")
        await asyncio.gather(second, first)

    asked = begin(backwards).start()

    assert [one.input for one in asked if isinstance(one, commands.ScheduleTask)] == [
        notify.encode_args("second"),
        notify.encode_args("first"),
    ]


def test_calls_work_in_a_task_group(begin: Begin) -> None:
    @orchestration
    async def all_of(order: Order) -> None:
        async with asyncio.TaskGroup() as group:
            for address in order.addresses:
                group.create_task(notify(address))

    instance = begin(all_of)

    assert len(instance.start(ORDER)) == 2
    none = notify.encode_result(None)
    assert completed(instance.feed(events.TaskCompleted(1, none), events.TaskCompleted(2, none))) is None


def test_an_argument_that_does_not_fit_raises_in_the_code_and_records_nothing(begin: Begin) -> None:
    @orchestration
    async def careless() -> str:
        try:
            await notify(5)  # type: ignore[arg-type]
        except Misuse as refused:
            return str(refused)
        return ""

    assert completed(begin(careless).start()) == (
        "Parameter 'text' of notify() does not fit str: Expected `str`, got `int`. The value is 5."
    )


def test_a_failure_is_an_activity_error(begin: Begin) -> None:
    @orchestration
    async def asking() -> list[str]:
        try:
            await notify("x")
        except ActivityError as error:
            return [error.name, error.failure.type, str(error)]
        return []

    instance = begin(asking)
    instance.start()

    outcome = instance.feed(events.TaskFailed(1, Failure(type="app.Broken", message="hm")))

    assert completed(outcome) == ["notify", "app.Broken", "Activity 'notify' failed: app.Broken: hm"]


def test_a_declared_failure_is_its_class(begin: Begin) -> None:
    @orchestration
    async def paying(order: Order) -> list[object]:
        try:
            await charge.options(retry=None)(order)
        except PaymentDeclined as error:
            return [str(error), isinstance(error.__cause__, ActivityError)]
        return []

    instance = begin(paying)
    instance.start(ORDER)

    outcome = instance.feed(events.TaskFailed(1, Failure(type=f"{__name__}.PaymentDeclined", message="no money")))

    assert completed(outcome) == ["no money", True]


def test_the_handler_of_a_retry_is_asked(begin: Begin) -> None:
    asked: list[str] = []

    def give_up(failure: Failure) -> bool:
        asked.append(failure.type)
        return False

    @orchestration
    async def trying() -> None:
        await notify.options(retry=Retry(handler=give_up))("x")

    instance = begin(trying)
    instance.start()

    failure = failed(instance.feed(events.TaskFailed(1, Failure(type="app.Broken", message="hm"))))

    assert asked == ["app.Broken"]
    assert failure.type == "perdure.errors.ActivityError"


def test_a_result_that_does_not_fit_dooms_the_turn(begin: Begin) -> None:
    """Other code recorded it, a worker of another build: code that fits can mend it, a failed instance could not."""
    instance = begin(shipping)
    instance.start(ORDER)

    with pytest.raises(TurnDoomed, match="The result of charge\\(\\) does not fit Order") as doomed:
        instance.feed(events.TaskCompleted(1, pack("x")))
    assert doomed.value.reason == "input"


# ---- orchestrations --------------------------------------------------------------------------------------------------


def test_awaiting_an_orchestration_records_its_name_version_and_queue(begin: Begin) -> None:
    @orchestration
    async def parent(order: Order) -> Order:
        return await shipping(order)

    instance = begin(parent)
    (asked,) = instance.start(ORDER)

    assert isinstance(asked, commands.CreateSubOrchestration)
    assert (asked.name, asked.version, asked.queue, asked.retry) == ("shipping", "4", "slow", None)
    assert asked.instance_id.startswith("order-1")
    assert asked.input == shipping.encode_args(ORDER)
    outcome = instance.feed(events.SubOrchestrationCompleted(1, pack(ORDER)))
    assert completed(outcome)["id"] == str(ORDER.id)


def test_options_of_a_sub_orchestration_are_recorded(begin: Begin) -> None:
    @orchestration
    async def parent(order: Order) -> None:
        await shipping.options(id="mine", queue="fast", retry=Retry(attempts=2))(order)

    (asked,) = begin(parent).start(ORDER)

    assert isinstance(asked, commands.CreateSubOrchestration)
    assert (asked.instance_id, asked.queue, asked.retry) == ("mine", "fast", Retry(attempts=2).rules())


def test_a_failed_sub_orchestration_raises_with_its_instance_id(begin: Begin) -> None:
    @orchestration
    async def parent(order: Order) -> list[str]:
        try:
            await shipping.options(id="mine")(order)
        except SubOrchestrationError as error:
            return [error.name, error.instance_id, error.failure.message]
        return []

    instance = begin(parent)
    instance.start(ORDER)

    outcome = instance.feed(events.SubOrchestrationFailed(1, Failure(type="app.Broken", message="hm")))

    assert completed(outcome) == ["shipping", "mine", "hm"]


def test_an_input_that_does_not_fit_any_more_dooms_the_turn(begin: Begin) -> None:
    """It did fit when the instance was started: a deploy must not fail what runs."""
    with pytest.raises(TurnDoomed, match="Parameter 'order' of shipping\\(\\) does not fit Order") as doomed:
        begin(shipping).start_from(pack(["x"]))
    assert doomed.value.reason == "input"


def test_a_returned_value_that_does_not_fit_closes_the_instance_as_failed_for_good(begin: Begin) -> None:
    @orchestration
    async def wrong() -> int:
        return "text"  # type: ignore[return-value]

    failure = failed(begin(wrong).start())

    assert failure.message == "The result of wrong() does not fit int: Expected `int`, got `str`. The value is 'text'."
    assert not failure.retryable


# ---- events ----------------------------------------------------------------------------------------------------------


@orchestration
async def waiting() -> list[object]:
    got: list[object] = []
    while len(got) < 2:
        try:
            got.append((await payment()).addresses)
        except Misuse as refused:
            got.append(str(refused))
    return got


def test_an_event_comes_as_its_type_and_in_the_order_of_arrival(begin: Begin) -> None:
    instance = begin(waiting)
    assert instance.start() == ()

    outcome = instance.feed(
        events.EventRaised("payment", payment.encode(ORDER), "m1"),
        events.EventRaised("payment", payment.encode(Order(UUID(int=1), [])), "m2"),
    )

    assert completed(outcome) == [["a", "b"], []]


def test_an_event_that_does_not_fit_raises_in_the_code_and_the_next_wait_gets_the_next(begin: Begin) -> None:
    instance = begin(waiting)
    instance.start()

    outcome = instance.feed(
        events.EventRaised("payment", pack("x"), "m1"),
        events.EventRaised("payment", payment.encode(ORDER), "m2"),
    )

    first, second = completed(outcome)
    assert first.startswith("The payload of event 'payment' does not fit Order")
    assert second == ["a", "b"]


# ---- stand-ins -------------------------------------------------------------------------------------------------------


def test_now_is_the_recorded_time_of_the_turn(begin: Begin) -> None:
    @orchestration
    async def clock() -> list[datetime]:
        return [now(), now()]

    (complete,) = begin(clock).start()

    assert isinstance(complete, commands.Complete)
    assert clock.decode_result(complete.result) == [datetime.fromtimestamp(EPOCH, UTC)] * 2


@orchestration
async def chance() -> list[str]:
    return [str(uuid4()), str(uuid4()), str(rng().random()), str(rng().random())]


def test_randomness_is_the_same_on_every_run_of_one_history(begin: Begin) -> None:
    drawn = completed(begin(chance).start())

    random.seed()
    assert completed(begin(chance).start()) == drawn
    assert len(set(drawn)) == 4
    assert UUID(drawn[0]).version == 4


def test_current_tells_the_instance(begin: Begin) -> None:
    seen: list[Current] = []

    @orchestration(version="2")
    async def looking() -> None:
        seen.append(current())

    begin(looking).start()

    assert seen == [
        Current(
            name="looking",
            instance_id="order-1",
            execution=0,
            attempt=1,
            is_replaying=False,
            version="2",
            tags={"a": "b"},
        )
    ]


def test_activity_info_is_refused_in_an_orchestration(begin: Begin) -> None:
    @orchestration
    async def confused() -> None:
        activity_info()

    failure = failed(begin(confused).start())

    assert failure.type == "perdure.errors.Misuse"
    assert "an orchestration uses current()" in failure.message


def test_the_log_speaks_once_and_is_silent_in_replay(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    @orchestration
    async def talking() -> None:
        logger.info("before")
        await notify("x")
        logger.info("after")

    start = events.ExecutionStarted(name="talking", input=talking.encode_args(), seed=7, created_at=EPOCH)
    turn = events.TurnStarted(now=EPOCH, worker="w", code_version="c", python_minor=11)
    scheduled = events.TaskScheduled(1, "notify", notify.encode_args("x"))

    with caplog.at_level(logging.INFO, logger="perdure.app"):
        begin(talking).execution.run(turn, [start])
        again = begin(talking)
        again.execution.replay(turn, [start], [scheduled])
        again.feed(events.TaskCompleted(1, notify.encode_result(None)))

    said = [(record.getMessage(), vars(record)["instance_id"]) for record in caplog.records]
    assert said == [("before", "order-1"), ("after", "order-1")]
