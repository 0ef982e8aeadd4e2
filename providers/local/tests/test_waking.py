"""Who waits is woken. Time stands still here: whoever only looked again after a while would wait for ever."""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from perdure_conformance.material import ORDER, TASKS, addition, begin, ids_of, message, read_head

from perdure.spi import Purged, Unavailable

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


@pytest.mark.parametrize("folder", [f"{'long' * 40}/hub"], indirect=True, ids=["long"])
async def test_q10_in_a_folder_with_a_long_name_others_are_woken_too(
    virtual: Harness, as_another_process: Callable[[], None]
) -> None:
    """The address of a socket has room for 108 bytes."""
    receiver = await virtual.open_queue()
    waiting = virtual.begin_receive(receiver, TASKS)
    await virtual.let_time_pass(0)
    as_another_process()

    await (await virtual.open_queue()).send([message(TASKS)])

    assert ids_of(await woken(waiting)) == ["m-1"]


async def test_q10_who_has_closed_a_hub_and_opened_it_again_is_woken_too(
    virtual: Harness, as_another_process: Callable[[], None]
) -> None:
    """The new socket has the number of the old one: a loop that still watched that would never look at it."""
    for _ in range(2):
        receiver = await virtual.open_queue()
        waiting = virtual.begin_receive(receiver, TASKS)
        await virtual.let_time_pass(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await receiver.aclose()
    receiver = await virtual.open_queue()
    waiting = virtual.begin_receive(receiver, TASKS)
    await virtual.let_time_pass(0)
    as_another_process()

    await (await virtual.open_queue()).send([message(TASKS)])

    assert ids_of(await woken(waiting)) == ["m-1"]


async def test_waiting_keeps_nothing_once_it_is_over(virtual: Harness) -> None:
    """A process that runs for weeks would grow with every instance there has been."""
    backend = await virtual.open_backend()
    await begin(backend.store)
    token = (await read_head(backend.store, ORDER)).token
    await backend.store.changed(ORDER, token, 0)
    await backend.store.ended(ORDER, token, 0)
    await virtual.look(backend.queue, TASKS)

    database = backend.store.access.database  # type: ignore[attr-defined]

    assert [waiting._seen for waiting in (database.key_changes, database.key_ends)] == [{}, {}]
    assert [each._events for each in (database.key_changes, database.key_ends, database._queues)] == [{}, {}, {}]


async def test_one_who_stops_waiting_leaves_the_others_waiting(virtual: Harness) -> None:
    """They look for the same thing."""
    queue = await virtual.open_queue()
    impatient, patient = virtual.begin_receive(queue, TASKS), virtual.begin_receive(queue, TASKS)
    await virtual.let_time_pass(0)

    impatient.cancel()
    await virtual.let_time_pass(0)
    names = queue.access.database._queues  # type: ignore[attr-defined]
    assert len(names._events[TASKS]) == 1
    await queue.send([message(TASKS)])

    assert ids_of(await woken(patient)) == ["m-1"]


async def test_the_folder_of_sockets_is_touched_once_more_after_a_tick_of_its_clock(virtual: Harness) -> None:
    """Somebody may have listed it in the same tick, and would never see the new one."""
    receiver = await virtual.open_queue()
    virtual.begin_receive(receiver, TASKS)
    await virtual.let_time_pass(0)
    folder = virtual.folder / "wake"
    listed_at = folder.stat().st_mtime_ns

    async with asyncio.timeout(REAL_SECONDS):
        while folder.stat().st_mtime_ns == listed_at:
            await asyncio.sleep(0.001)


async def test_the_socket_of_a_dead_process_is_removed(virtual: Harness) -> None:
    """It would be poked for ever."""
    queue = await virtual.open_queue()
    left = virtual.folder / "wake" / "ab"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(left))

    await queue.send([message(TASKS)])

    assert not left.exists()


def count_open_files() -> int:
    gc.collect()  # What tests before this one have left must not go while it counts.
    return len(list(Path("/dev/fd").iterdir()))


async def test_who_cannot_listen_is_told_and_may_try_again(virtual: Harness) -> None:
    """A part of the folder is gone, or the disk is full."""
    queue = await virtual.open_queue()
    folder = virtual.folder / "wake"
    folder.rmdir()
    assert queue.access.database.others() == ()  # type: ignore[attr-defined]
    before = count_open_files()

    try:
        await virtual.look(queue, TASKS)
        pytest.fail("it listens")
    except Unavailable:
        assert count_open_files() == before

    folder.mkdir(mode=0o700)
    receiver = virtual.begin_receive(queue, TASKS)
    await virtual.let_time_pass(0)
    assert len(list(folder.iterdir())) == 1
    receiver.cancel()
