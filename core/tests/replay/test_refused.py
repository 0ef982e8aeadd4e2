"""What would touch the world is refused with its line and what to use instead, and cannot be hidden."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading

import pytest
from replay_support import Driven, activity, encode, event, loop, result_of

from perdure.errors import NotDeterministic
from perdure.events import EventRaised
from perdure.replay import ReplayLoop, TurnDoomed
from perdure.replay._refused import RefusingLoop


def refusal(driven: Driven) -> str:
    """Run the first turn, which must be doomed as not deterministic, and give the message."""
    with pytest.raises(TurnDoomed) as caught:
        driven.start()
    assert caught.value.reason == "not_deterministic"
    assert isinstance(caught.value.cause, NotDeterministic)
    return str(caught.value)


REFUSED = sorted(name for name in vars(RefusingLoop) if not name.startswith("_"))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_operation_names_itself_the_line_and_the_mend(name: str) -> None:
    async def reaching_out() -> None:
        getattr(loop(), name)()

    message = refusal(Driven(reaching_out))

    assert f"loop.{name}() was called inside an orchestration" in message
    assert "test_refused.py:" in message
    assert "in reaching_out" in message
    assert "Instead: " in message


def test_every_operation_of_an_event_loop_is_implemented_or_refused() -> None:
    offered = {name for name in vars(asyncio.AbstractEventLoop) if not name.startswith("_")}
    ours = {name for kind in ReplayLoop.__mro__ if kind.__module__.startswith("perdure.") for name in vars(kind)}

    assert len(offered) > 40
    assert offered - ours == set()
    assert all(getattr(ReplayLoop, name) is not None for name in offered)


def test_swallowing_the_refusal_does_not_save_the_turn() -> None:
    async def swallowing() -> str:
        with contextlib.suppress(BaseException):
            await asyncio.to_thread(print)
        return "as if nothing had happened"

    assert "run_in_executor" in refusal(Driven(swallowing))


def test_threads_sockets_and_processes_are_refused_where_asyncio_comes_to_them() -> None:
    async def thread() -> None:
        await asyncio.to_thread(print)

    async def connection() -> None:
        await asyncio.open_connection("localhost", 1)

    async def process() -> None:
        await asyncio.create_subprocess_exec("true")

    async def lookup() -> None:
        await loop().getaddrinfo("localhost", 80)

    async def raw_socket() -> None:
        with socket.socket() as mine:
            await loop().sock_connect(mine, ("localhost", 1))

    names = [refusal(Driven(code)).partition("loop.")[2].partition("(")[0] for code in (thread, connection, lookup)]
    assert names == ["run_in_executor", "create_connection", "getaddrinfo"]
    assert "sock_connect" in refusal(Driven(raw_socket))
    assert "activity" in refusal(Driven(process))


def test_a_library_that_is_refused_is_located_in_the_users_own_code() -> None:
    async def indirect() -> None:
        await asyncio.to_thread(print)

    assert "in indirect" in refusal(Driven(indirect))


def test_where_only_installed_code_runs_its_own_line_is_named() -> None:
    """An application may itself be installed as a package."""
    source = "async def installed(loop):\n    loop.stop()\n"
    space: dict[str, object] = {"__name__": "shop"}
    exec(compile(source, "/env/lib/site-packages/shop.py", "exec"), space)
    inner = space["installed"]
    outer_source = "async def outer(inner, loop):\n    await inner(loop())\n"
    outer_space: dict[str, object] = {"__name__": "shop2"}
    exec(compile(outer_source, "/env/lib/site-packages/outer.py", "exec"), outer_space)
    outer = outer_space["outer"]

    def code() -> object:
        return outer(inner, loop)  # type: ignore[operator]

    assert "site-packages/shop.py:2 in installed" in refusal(Driven(code))  # type: ignore[arg-type]


def test_call_soon_threadsafe_is_call_soon_on_the_loop_itself() -> None:
    async def simple() -> str:
        done = loop().create_future()
        loop().call_soon_threadsafe(done.set_result, "called")
        return await done

    assert result_of(Driven(simple).start()) == "called"


def test_a_callback_from_another_thread_is_refused_there_and_dooms_the_next_turn() -> None:
    loops: list[ReplayLoop] = []

    async def listening() -> str:
        loops.append(loop())
        return await event("go")

    driven = Driven(listening)
    driven.start()
    raised: list[BaseException] = []

    def intrude() -> None:
        try:
            loops[0].call_soon_threadsafe(print)
        except NotDeterministic as error:
            raised.append(error)

    thread = threading.Thread(target=intrude)
    thread.start()
    thread.join(timeout=60)

    assert "code outside of orchestrations woke this orchestration" in str(raised[0])
    with pytest.raises(TurnDoomed, match="woke this orchestration"):
        driven.turn(EventRaised("go", encode("gone"), "m"))


def test_a_future_shared_by_two_instances_dooms_both() -> None:
    shared: list[asyncio.Future[str]] = []

    async def waits() -> str:
        shared.append(loop().create_future())
        task = asyncio.create_task(event("never"))
        value = await shared[0]
        task.cancel()
        return value

    async def wakes() -> None:
        shared[0].set_result("hello")

    waiting, waking = Driven(waits, instance_id="waiting"), Driven(wakes, instance_id="waking")
    waiting.start()

    message = refusal(waking)
    assert message.startswith("waking: ")
    assert "test_refused.py:" in message
    assert "module-level Lock, Event, Queue" in message
    with pytest.raises(TurnDoomed, match="the orchestration waking woke this orchestration"):
        waiting.turn(EventRaised("never", encode(1), "m"))


def test_a_lock_shared_by_two_instances_is_found_when_it_is_released() -> None:
    """Taking a free lock binds it to no loop: only the second instance, which waits, does."""
    lock = asyncio.Lock()

    async def holder() -> None:
        async with lock:
            await event("go")

    async def waiter() -> None:
        task = asyncio.create_task(event("other"))
        async with lock:
            task.cancel()

    holding, waiting = Driven(holder, instance_id="holding"), Driven(waiter, instance_id="waiting")
    holding.start()
    waiting.start()

    with pytest.raises(TurnDoomed, match="through an asyncio object that both hold"):
        holding.turn(EventRaised("go", encode(1), "m"))


def test_an_asyncio_object_that_is_bound_to_another_instance_dooms_the_turn() -> None:
    shared = asyncio.Event()

    async def waits() -> None:
        task = asyncio.create_task(event("never"))
        await shared.wait()
        task.cancel()

    first, second = Driven(waits, instance_id="first"), Driven(waits, instance_id="second")
    first.start()

    message = refusal(second)
    assert "asyncio.locks.Event" in message
    assert "Two orchestrations share" in message


def test_awaiting_a_future_of_another_instance_dooms_the_turn() -> None:
    shared: list[asyncio.Future[str]] = []

    async def makes() -> None:
        shared.append(loop().create_future())
        await event("never")

    async def awaits() -> None:
        await shared[0]

    Driven(makes).start()

    assert "attached to a different loop" in refusal(Driven(awaits))


def test_an_object_of_another_instance_dooms_the_turn_in_a_task_that_nobody_awaits() -> None:
    shared = asyncio.Event()

    async def waits() -> None:
        task = asyncio.create_task(event("never"))
        await shared.wait()
        task.cancel()

    async def waits_in_background() -> None:
        asyncio.create_task(shared.wait())  # noqa: RUF006 - left behind on purpose
        await event("go")

    first, second = Driven(waits), Driven(waits_in_background)
    first.start()
    second.start()

    second.execution._loop.tasks._sweep()  # the loop lets go of the task, and its error is seen to be unseen

    with pytest.raises(TurnDoomed, match="share an asyncio object"):
        second.turn(EventRaised("go", encode(None), "m"))


@pytest.mark.parametrize("make", ["Future", "Task"])
def test_futures_and_tasks_that_are_made_directly_are_refused(make: str) -> None:
    async def nothing() -> None:
        await event("never")

    async def making() -> None:
        coroutine = nothing()
        try:
            asyncio.Future() if make == "Future" else asyncio.Task(coroutine)
        finally:
            coroutine.close()

    message = refusal(Driven(making))
    assert "made directly" in message
    assert "create_future()" in message
    assert "asyncio.create_task()" in message


def test_asking_for_the_debug_mode_is_no_offence() -> None:
    async def asking() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert result_of(Driven(asking).start()) is False


def test_the_loop_has_no_task_factory_and_no_exception_handler() -> None:
    async def asking() -> bool:
        return loop().get_task_factory() is None and loop().get_exception_handler() is None

    assert result_of(Driven(asking).start()) is True


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_an_eager_task_factory_is_refused() -> None:
    async def eager() -> None:
        loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]

    async def direct() -> None:
        coroutine = activity("a")
        asyncio.eager_task_factory(loop(), coroutine)  # type: ignore[attr-defined]

    assert "asyncio.create_task()" in refusal(Driven(eager))
    assert "made directly" in refusal(Driven(direct))
