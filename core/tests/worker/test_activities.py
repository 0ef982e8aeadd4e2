"""What an orchestration gets from its activities, end to end."""

from __future__ import annotations

import asyncio
import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from _harness import World, decisions, inputs, turns

from perdure import events
from perdure.authoring import Retry, activity, activity_info, current, orchestration
from perdure.errors import ActivityError, NonRetryable, OrchestrationError, SubOrchestrationError
from perdure.failures import describe
from perdure.memory import MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.authoring import ActivityInfo
    from perdure.spi import QueueCapabilities

HOUR = 3_600.0


@dataclass
class Order:
    id: int
    lines: list[str]


@dataclass
class Invoice:
    order: Order
    total: float


class PaymentDeclined(Exception):
    pass


class CardExpired(Exception):
    pass


@activity
async def issue(order: Order) -> Invoice:
    return Invoice(order, 10.5)


@activity
def total_of(invoice: Invoice) -> float:
    return invoice.total


@orchestration
async def invoicing(order: Order) -> Invoice:
    invoice = await issue(order)
    assert await total_of(invoice) == invoice.total
    return invoice


@activity(raises=[PaymentDeclined])
async def decline(amount: int) -> None:
    try:
        raise CardExpired("in May")  # noqa: TRY301 - the story is one exception raised from another
    except CardExpired as error:
        raise PaymentDeclined(f"of {amount}") from error


@orchestration
async def paying(amount: int) -> None:
    await decline(amount)


async def test_async_and_sync_activities_give_typed_results(world: World) -> None:
    await world.worker(invoicing, issue, total_of)

    run = await world.client.start(invoicing(Order(1, ["a", "b"])), id="order-1")

    assert await world.result(run) == Invoice(Order(1, ["a", "b"]), 10.5)


async def test_a_sync_activity_runs_in_a_thread_and_an_async_one_does_not(world: World) -> None:
    seen: dict[str, str] = {}

    @activity
    def in_thread() -> None:
        seen["sync"] = threading.current_thread().name

    @activity
    async def on_loop() -> None:
        seen["async"] = threading.current_thread().name

    @orchestration
    async def both() -> None:
        await in_thread()
        await on_loop()

    await world.worker(both, in_thread, on_loop)

    await world.result(await world.client.start(both()))

    assert seen["sync"].startswith("perdure-activity")
    assert seen["async"] == threading.current_thread().name


async def test_an_activity_knows_its_instance_its_attempt_and_a_key_that_stays(world: World) -> None:
    """A service that sees the same key twice can recognise a repeated request."""
    seen: list[ActivityInfo] = []

    @activity(retry=Retry(attempts=3, first_delay=1.0), timeout=30)
    async def charge() -> None:
        seen.append(activity_info())
        assert current().instance_id == "order-1"
        if len(seen) < 3:
            raise ConnectionError

    @orchestration
    async def charging() -> None:
        await charge()

    await world.worker(charging, charge)

    await world.result(await world.client.start(charging(), id="order-1"))

    assert [info.attempt for info in seen] == [1, 2, 3]
    assert len({info.idempotency_key for info in seen}) == 1
    assert {info.instance_id for info in seen} == {"order-1"}
    assert all(info.deadline is not None for info in seen)


async def test_a_failure_reaches_the_client_with_its_whole_chain_of_causes(world: World) -> None:
    await world.worker(paying, decline)

    run = await world.client.start(paying(7))
    with pytest.raises(OrchestrationError) as caught:
        await world.result(run)

    failure = caught.value.failure
    assert failure.type.endswith("PaymentDeclined")
    assert failure.message == "of 7"
    chain = []
    while failure is not None:
        chain.append(failure.type.rpartition(".")[2])
        failure = failure.cause  # type: ignore[assignment]
    assert "CardExpired" in chain
    assert (await run.summary()).status == "Failed"


async def test_a_declared_exception_is_caught_as_itself(world: World) -> None:
    @orchestration
    async def careful(amount: int) -> str:
        try:
            await decline(amount)
        except PaymentDeclined as error:
            return f"declined {error}"
        return "paid"

    await world.worker(careful, decline)

    assert await world.result(await world.client.start(careful(3))) == "declined of 3"


async def test_an_exception_group_reaches_the_client_with_its_members(world: World) -> None:
    @activity
    async def fail(text: str) -> None:
        raise ValueError(text)

    @orchestration
    async def several() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail("a"))
            group.create_task(fail("b"))

    await world.worker(several, fail)

    with pytest.raises(OrchestrationError) as caught:
        await world.result(await world.client.start(several()))

    members = caught.value.failure.members
    assert members
    assert all(member.type == "perdure.errors.ActivityError" for member in members)
    assert members[0].cause is not None
    assert members[0].cause.type == "ValueError"


async def test_retries_over_virtual_hours_wait_as_the_policy_says(world: World) -> None:
    begun: list[float] = []

    @activity(retry=Retry(attempts=6, first_delay=HOUR, backoff=2.0, max_delay=4 * HOUR))
    async def flaky() -> str:
        begun.append(world.clock.now())
        if len(begun) < 5:
            raise ConnectionError("not yet")
        return "at last"

    @orchestration
    async def patient() -> str:
        return await flaky()

    await world.worker(patient, flaky)

    assert await world.result(await world.client.start(patient()), within_seconds=24 * HOUR) == "at last"

    waits = [round((later - earlier) / HOUR, 2) for earlier, later in itertools.pairwise(begun)]
    assert waits == [1.0, 2.0, 4.0, 4.0]


async def test_a_failure_that_is_not_retryable_is_not_tried_again(world: World) -> None:
    begun: list[int] = []

    @activity(retry=Retry(attempts=5))
    async def hopeless() -> None:
        begun.append(1)
        raise NonRetryable("never")

    @orchestration
    async def asking() -> None:
        await hopeless()

    await world.worker(asking, hopeless)

    with pytest.raises(OrchestrationError, match="never"):
        await world.result(await world.client.start(asking()))
    assert begun == [1]


async def test_a_result_that_cannot_be_encoded_is_a_failure_that_is_not_retried(world: World) -> None:
    begun: list[int] = []

    @activity(retry=Retry(attempts=5))
    async def odd() -> object:
        begun.append(1)
        return object()

    @orchestration
    async def asking() -> None:
        await odd()

    await world.worker(asking, odd)

    with pytest.raises(OrchestrationError) as caught:
        await world.result(await world.client.start(asking()))
    assert caught.value.failure.type == "perdure.errors.ActivityError"
    assert begun == [1]


async def test_an_orchestration_whose_result_cannot_be_encoded_is_failed(world: World) -> None:
    @orchestration
    async def odd() -> object:
        return object()

    await world.worker(odd)

    run = await world.client.start(odd())
    with pytest.raises(OrchestrationError, match="object"):
        await world.result(run)
    assert (await run.summary()).status == "Failed"


async def test_a_recorded_argument_that_no_longer_fits_is_a_failure_that_is_not_retried(world: World) -> None:
    """The worker of the activities was deployed with another signature than the one of the orchestrations."""
    ran: list[int] = []

    @activity(name="book", retry=Retry(attempts=5))
    async def book_today(seat: str) -> None: ...

    @activity(name="book", retry=Retry(attempts=5))
    async def book_tomorrow(seat: int) -> None:
        ran.append(seat)

    @orchestration
    async def booking() -> None:
        await book_today("12A")

    await world.worker(booking, tasks=())
    await world.worker(book_tomorrow, turns=())

    with pytest.raises(OrchestrationError, match="seat"):
        await world.result(await world.client.start(booking()))
    assert ran == []


async def test_an_activity_over_its_timeout_is_broken_off_and_fails(world: World) -> None:
    ended: list[str] = []

    @activity(timeout=30)
    async def endless() -> None:
        try:
            await world.clock.sleep(10_000)
        finally:
            ended.append("cleaned up")

    @orchestration
    async def impatient() -> str:
        try:
            await endless()
        except ActivityError as error:
            return error.failure.type
        return "?"

    await world.worker(impatient, endless)

    assert await world.result(await world.client.start(impatient())) == "TimeoutError"
    assert ended == ["cleaned up"]


async def test_an_activity_that_swallows_its_cancellation_still_times_out(world: World) -> None:
    """It cannot be stopped, but its instance must not wait for it for ever."""
    go_on = asyncio.Event()

    @activity(timeout=30)
    async def stubborn() -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    @orchestration
    async def impatient() -> str:
        try:
            await stubborn()
        except ActivityError as error:
            return error.failure.type
        return "?"

    await world.worker(impatient, stubborn)

    try:
        assert await world.result(await world.client.start(impatient())) == "TimeoutError"
    finally:
        go_on.set()


async def test_an_attempts_time_begins_when_its_function_does(world: World) -> None:
    """A worker that stands still right before it would record a timeout of what was never called."""
    called: list[str] = []

    @activity(timeout=30)
    async def quick() -> str:
        called.append("once")
        return "in time"

    @orchestration
    async def asking() -> str:
        return await quick()

    process = await world.worker(asking, quick)
    assert process.worker is not None
    attempts: Any = process.worker._activities._attempts
    ensure_future = asyncio.ensure_future

    def stand_still(running: Any) -> asyncio.Future[object]:
        async def later() -> object:
            await world.clock.sleep(45)
            return await running

        return ensure_future(later())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perdure.worker._attempts.asyncio.ensure_future", stand_still)
        run = await world.client.start(asking())
        assert await world.result(run) == "in time"
    assert called == ["once"]
    assert attempts.threads.busy == 0


async def test_waiting_for_a_free_thread_is_no_part_of_an_activitys_timeout(world: World) -> None:
    release = threading.Event()

    @activity
    def hold_the_thread() -> None:
        release.wait(30)

    @activity(timeout=5)
    def quick() -> str:
        return "done"

    @orchestration
    async def both() -> str:
        _, result = await asyncio.gather(hold_the_thread(), quick())
        return result

    world.waits_for_threads = False
    await world.worker(both, hold_the_thread, quick, threads_max=1)
    run = await world.client.start(both())
    await world.pass_seconds(60)

    release.set()
    world.waits_for_threads = True

    assert await world.result(run) == "done"


@pytest.mark.parametrize("error", [StopIteration("x"), SystemExit(3), KeyError("k")])
async def test_whatever_a_sync_activity_raises_is_its_failure(world: World, error: BaseException) -> None:
    """`next(iter([]))` without a default is a mistake that everybody makes once; it must not hang anything."""

    @activity
    def fail() -> None:
        raise error

    @orchestration
    async def asking() -> str:
        try:
            await fail()
        except ActivityError as caught:
            return str(caught.failure)
        return "?"

    await world.worker(asking, fail)

    assert type(error).__name__ in await world.result(await world.client.start(asking()))


@pytest.mark.parametrize("error", [StopIteration("x"), SystemExit(3), asyncio.CancelledError("by itself")])
async def test_whatever_an_async_activity_raises_is_its_failure(world: World, error: BaseException) -> None:
    @activity
    async def fail() -> None:
        raise error

    @orchestration
    async def asking() -> str:
        try:
            await fail()
        except ActivityError as caught:
            return str(caught.failure)
        return "?"

    await world.worker(asking, fail)

    assert type(error).__name__ in await world.result(await world.client.start(asking()))


async def test_a_fan_out_runs_side_by_side_and_is_recorded_in_few_turns(world: World) -> None:
    """Whatever waits when a turn begins is its input: 200 results are not 200 turns."""

    @activity
    async def square(number: int) -> int:
        return number * number

    @orchestration
    async def squares(count: int) -> int:
        return sum(await asyncio.gather(*(square(number) for number in range(count))))

    await world.worker(squares, square, replay_check="never")

    run = await world.client.start(squares(200))
    assert await world.result(run) == sum(n * n for n in range(200))

    history = await world.history(run)
    assert len(inputs(history, events.TaskCompleted)) == 200
    assert len(turns(history)) < 40


async def test_activities_of_other_queues_go_to_the_workers_that_serve_them(world: World) -> None:
    ran: list[str] = []

    @activity(queue="gpu")
    async def render() -> str:
        ran.append("render")
        return "picture"

    @orchestration(queue="front")
    async def painting() -> str:
        return await render()

    await world.worker(painting, turns=("front",), tasks=())
    await world.worker(render, turns=(), tasks=("gpu",))

    assert await world.result(await world.client.start(painting())) == "picture"
    assert ran == ["render"]


class SmallMessages(MemoryQueue):
    """A queue of small messages, as SQS's."""

    capabilities: Mapping[str, QueueCapabilities] = {
        kind: msgspec.structs.replace(limits, body_bytes_max=20_000)
        for kind, limits in MemoryQueue.capabilities.items()
    }


async def test_a_huge_failure_is_trimmed_until_it_fits_into_a_message() -> None:
    """A failure that no message could carry would leave those waiting for ever whom it should reach."""

    @activity
    async def fail() -> None:
        errors: list[Exception] = []
        for number in range(64):
            try:
                raise ValueError(f"{number}" + "x" * 4_000)  # noqa: TRY301 - for its traceback
            except ValueError as error:
                errors.append(error)
        raise ExceptionGroup("all of it", errors)

    @orchestration
    async def child() -> None:
        await fail()

    @orchestration
    async def parent() -> None:
        await child()

    async with World(queue_type=SmallMessages) as world:
        await world.worker(child, parent, tasks=())
        await world.worker(fail, turns=())

        with pytest.raises(OrchestrationError) as caught:
            await world.result(await world.client.start(parent(), id="p"))

        told = [failed.failure for failed in decisions(await world.history("p"), events.ExecutionFailed)]
        assert told == [caught.value.failure]
        assert "all of it" in describe(caught.value.failure)
        assert "left out" in describe(caught.value.failure)


async def test_a_huge_failure_of_a_childs_own_reaches_its_parent_as_well() -> None:
    @orchestration
    async def child() -> None:
        raise ExceptionGroup("all of it", [ValueError(f"{number}" + "x" * 4_000) for number in range(64)])

    @orchestration
    async def parent() -> str:
        try:
            await child()
        except SubOrchestrationError as error:
            return describe(error.failure)
        return "?"

    async with World(queue_type=SmallMessages) as world:
        await world.worker(child, parent)

        told = await world.result(await world.client.start(parent()))

        assert "all of it" in told
        assert "left out" in told


async def test_a_call_that_was_abandoned_lets_a_late_result_pass_by(world: World) -> None:
    @activity
    async def slow() -> str:
        await world.clock.sleep(100)
        return "late"

    @orchestration
    async def impatient() -> str:
        try:
            async with asyncio.timeout(10):
                return await slow()
        except TimeoutError:
            await asyncio.sleep(1_000)
            return "gave up"

    await world.worker(impatient, slow)

    run = await world.client.start(impatient())
    assert await world.result(run) == "gave up"
    assert inputs(await world.history(run), events.TaskCompleted) == []
