"""Batches: what many ask at one time goes out together, and each gets its own answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from perdure.spi import Unavailable
from perdure_aws.sqs._batches import Batches
from perdure_aws.sqs._limits import REQUEST_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure_aws.sqs._batches import Answer, Entry


class Service:
    """Answers a batch when it is told to: the other end, which the test holds in its hand."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.problem: Exception | None = None

    async def send(self, operation: str, url: str, entries: Sequence[Entry]) -> Sequence[Answer]:
        self.requests.append([f"{operation} {url} {entry.get('MessageBody', '')[:8]}" for entry in entries])
        await self.may_answer.wait()
        if self.problem:
            raise self.problem
        return [Unavailable("bad") if "bad" in entry.get("MessageBody", "") else None for entry in entries]


async def let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def entries(count: int, body: str = "m") -> list[Entry]:
    return [{"MessageBody": body} for _ in range(count)]


@pytest.fixture
def service() -> Service:
    return Service()


async def test_one_entry_goes_out_at_once(service: Service) -> None:
    asking = asyncio.create_task(Batches(service.send).ask("send", "q", entries(1)))
    await let_others_run()

    assert service.requests == [["send q m"]]
    service.may_answer.set()
    assert await asking == [None]


async def test_what_comes_while_a_request_is_under_way_goes_out_together(service: Service) -> None:
    """A hundred instances that each complete one message are ten requests, not a hundred."""
    batches = Batches(service.send)
    asking = [asyncio.create_task(batches.ask("send", "q", entries(1)))]
    await let_others_run()
    asking += [asyncio.create_task(batches.ask("send", "q", entries(1))) for _ in range(7)]
    await let_others_run()
    assert len(service.requests) == 1

    service.may_answer.set()
    await asyncio.gather(*asking)

    assert [len(request) for request in service.requests] == [1, 7]


async def test_ten_that_wait_do_not_wait_for_another_request(service: Service) -> None:
    batches = Batches(service.send)
    asking = [asyncio.create_task(batches.ask("send", "q", entries(count))) for count in (12, 13)]
    await let_others_run()

    assert [len(request) for request in service.requests] == [10, 10]
    service.may_answer.set()
    assert [len(answers) for answers in await asyncio.gather(*asking)] == [12, 13]
    assert [len(request) for request in service.requests] == [10, 10, 5]


async def test_a_request_holds_no_more_bytes_than_sqs_takes(service: Service) -> None:
    service.may_answer.set()

    await Batches(service.send).ask("send", "q", entries(5, "x" * (REQUEST_BYTES_MAX // 2)))

    assert [len(request) for request in service.requests] == [2, 2, 1]


async def test_queues_and_operations_do_not_mix(service: Service) -> None:
    batches = Batches(service.send)
    service.may_answer.set()

    await asyncio.gather(*(batches.ask(op, url, entries(1)) for op in ("send", "delete") for url in ("q", "r")))

    assert sorted(service.requests) == [["delete q m"], ["delete r m"], ["send q m"], ["send r m"]]


async def test_each_gets_its_own_answers_in_order(service: Service) -> None:
    batches = Batches(service.send)
    service.may_answer.set()

    mine, others = await asyncio.gather(
        batches.ask("send", "q", [{"MessageBody": "a"}, {"MessageBody": "bad"}, {"MessageBody": "c"}]),
        batches.ask("send", "q", entries(2)),
    )

    assert [error is None for error in mine] == [True, False, True]
    assert others == [None, None]


async def test_what_a_cancelled_caller_had_not_sent_yet_is_not_sent(service: Service) -> None:
    batches = Batches(service.send)
    first = asyncio.create_task(batches.ask("send", "q", entries(1, "first")))
    await let_others_run()
    second = asyncio.create_task(batches.ask("send", "q", entries(1, "second")))
    third = asyncio.create_task(batches.ask("send", "q", entries(1, "third")))
    await let_others_run()

    second.cancel()
    service.may_answer.set()

    assert await asyncio.gather(first, third) == [[None], [None]]
    assert service.requests == [["send q first"], ["send q third"]]


async def test_a_request_that_hangs_holds_up_no_other(service: Service) -> None:
    """Behind it, the leases of all other messages would end unrenewed."""
    batches = Batches(service.send)
    hanging = asyncio.create_task(batches.ask("renew", "q", entries(1, "hangs")))
    await let_others_run()
    waiting = asyncio.create_task(batches.ask("renew", "q", entries(1, "waits")))
    await let_others_run()
    assert len(service.requests) == 1

    async with asyncio.timeout(10):
        while len(service.requests) < 2:
            await asyncio.sleep(0.01)

    service.may_answer.set()
    assert await asyncio.gather(hanging, waiting) == [[None], [None]]


async def test_an_error_that_nobody_foresaw_reaches_every_caller(service: Service) -> None:
    """And the next request is made all the same."""
    batches = Batches(service.send)
    service.problem = ZeroDivisionError()
    service.may_answer.set()

    results = await asyncio.gather(*(batches.ask("send", "q", entries(3)) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError] * 2

    service.problem = None
    assert await batches.ask("send", "q", entries(1)) == [None]


async def test_closing_waits_for_what_was_asked(service: Service) -> None:
    """A worker that stops has its completions deleted."""
    batches = Batches(service.send)
    asking = asyncio.create_task(batches.ask("delete", "q", entries(25)))
    await let_others_run()
    closing = asyncio.create_task(batches.aclose())
    await let_others_run()
    assert not closing.done()

    service.may_answer.set()
    await closing

    assert asking.done() or await asking
    assert sum(map(len, service.requests)) == 25
