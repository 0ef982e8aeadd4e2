"""Who waits is woken. Time stands still here: whoever only looked again after a while would wait for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from perdure_conformance.material import ORDER, TASKS, addition, begin, ids_of, message, read_head

from perdure.spi import Purged

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure_conformance import Harness

REAL_SECONDS = 30
"""How long somebody is waited for who was not woken: only broken code takes so long."""


@pytest.fixture(params=["of this process", "of another process"])
def cross_over(request: pytest.FixtureRequest, as_another_process: Callable[[], None]) -> Callable[[], None]:
    """Call it between two clients: they share a connection, or have one each as in two processes."""
    return as_another_process if request.param == "of another process" else lambda: None


async def woken(waiting: asyncio.Task[Any]) -> Any:
    """Give what somebody has waited for."""
    return await asyncio.wait_for(waiting, REAL_SECONDS)


async def test_q10_who_waits_for_a_message_is_woken_by_its_sender(
    virtual: Harness, cross_over: Callable[[], None]
) -> None:
    receiver = await virtual.open_queue()
    waiting = virtual.begin_receive(receiver, TASKS)
    await virtual.let_time_pass(0)
    cross_over()
    sender = await virtual.open_queue()

    await sender.send([message(TASKS)])

    assert ids_of(await woken(waiting)) == ["m-1"]


async def test_q10_who_waits_for_a_message_is_woken_by_who_gives_it_back(
    virtual: Harness, cross_over: Callable[[], None]
) -> None:
    receiver = await virtual.open_queue()
    cross_over()
    holder = await virtual.open_queue()
    await holder.send([message(TASKS)])
    held = await virtual.receive_one(holder, TASKS)
    waiting = virtual.begin_receive(receiver, TASKS)
    await virtual.let_time_pass(0)
    assert not waiting.done()

    await holder.abandon([held])

    assert ids_of(await woken(waiting)) == ["m-1"]


async def test_h3_who_waits_for_a_change_is_woken_by_it(virtual: Harness, cross_over: Callable[[], None]) -> None:
    reader = await virtual.open_store()
    version = await begin(reader)
    waiting = virtual.begin(reader.changed(ORDER, (await read_head(reader, ORDER)).token, 3600))
    await virtual.let_time_pass(0)
    cross_over()
    writer = await virtual.open_store()

    await writer.append(addition(ORDER, version))

    assert await woken(waiting)


async def test_h3_who_waits_for_an_end_is_woken_by_it_and_not_by_what_comes_before(
    virtual: Harness, cross_over: Callable[[], None]
) -> None:
    reader = await virtual.open_store()
    version = await begin(reader)
    waiting = virtual.begin(reader.ended(ORDER, (await read_head(reader, ORDER)).token, 3600))
    await virtual.let_time_pass(0)
    cross_over()
    writer = await virtual.open_store()

    await writer.append(addition(ORDER, version))
    await virtual.let_time_pass(0)
    assert not waiting.done()
    purged = await writer.purge(ORDER, version + 1)

    assert isinstance(purged, Purged)
    assert await woken(waiting)


async def test_h3_who_waits_for_an_end_is_woken_by_the_record_that_closes_it(
    virtual: Harness, cross_over: Callable[[], None]
) -> None:
    reader = await virtual.open_store()
    version = await begin(reader)
    waiting = virtual.begin(reader.ended(ORDER, (await read_head(reader, ORDER)).token, 3600))
    await virtual.let_time_pass(0)
    cross_over()
    writer = await virtual.open_store()

    await writer.append(addition(ORDER, version, status="Completed"))

    assert await woken(waiting)
