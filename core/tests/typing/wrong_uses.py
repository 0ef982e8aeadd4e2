"""Wrong uses of what application code imports: mypy and pyright, both strict, must refuse every marked line.

Each names the refusal that it expects, for mypy and for pyright. One that is accepted leaves an unused comment, and
unused comments are errors for both.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from perdure.authoring import Activity, Event, Orchestration, Registry, Retry, activity, orchestration
from perdure.connection import connect


@dataclass
class Order:
    id: str


payment: Event[Order] = Event("payment")


@activity
async def issue(order: Order) -> str:
    return order.id


@activity(timeout=30)
def notify(invoice: str, /, to: str = "all", *, urgent: bool = False) -> None: ...


@orchestration
async def shipping(order: Order, copies: int = 1) -> list[str]:
    return [order.id] * copies


async def arity(order: Order) -> None:
    await issue()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await issue(order, order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await issue(order, other=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await notify(invoice="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await notify("x", "me", 1)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    await shipping()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await shipping(order, 1, 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def argument_types(order: Order) -> None:
    await issue("order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await issue(order=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await notify("x", to=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await notify("x", urgent="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await shipping(order, copies="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    issue.encode_args("order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shipping.encode_args(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def result_types(order: Order) -> None:
    _a: int = await issue(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _b: int = await asyncio.create_task(issue(order))  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    _c: tuple[str, int] = await asyncio.gather(issue(order), issue(order))  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _d: list[int] = await asyncio.gather(*[issue(order)])  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(issue(order))
    _e: int = task.result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _f: list[int] = await shipping(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _g: str = issue(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _h: int = issue.decode_result(b"")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _i: int = shipping(order).decode_result(b"")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def options(order: Order) -> None:
    issue.options(attempts=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    issue.options(retry=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    issue.options(queue=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    issue.options(timeout="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    issue.options(id="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    shipping.options(timeout=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    shipping.options(id=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await issue.options(queue="gpu")("order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _a: int = await issue.options(queue="gpu")(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _b: int = await shipping.options(id="x")(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    Retry(5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Retry(tries=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Retry(handler=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Retry(retry_on=(int,))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def events() -> None:
    payment.encode("order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _a: str = await payment()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _b: str = payment.decode(b"")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await payment(5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    _c: Event[str] = Event("c", int)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    _d = Event("d")  # type: ignore[var-annotated]  # pyright: ignore[reportUnknownVariableType]


def sync_orchestration() -> None: ...


def declarations() -> None:
    orchestration(sync_orchestration)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    orchestration(version="2")(sync_orchestration)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    orchestration(version=2)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    orchestration(timeout=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    activity(timeout="3")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    activity(retry=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    activity(attempts=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    activity(raises=[int])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    activity(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def definitions_as_values() -> None:
    _a: Activity[[str], str] = issue  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _b: Activity[[Order], int] = issue  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _c: Orchestration[[Order], str] = shipping  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _d: Orchestration[[Order], str] = issue  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    Registry([issue.fn])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


async def hubs(order: Order) -> None:
    async with connect("memory:") as hub:
        await hub.start(shipping)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await hub.start(shipping("order-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await hub.start(shipping(order), if_exists="replace")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await hub.start(shipping(order), name="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        run = await hub.start(shipping(order))
        _a: str = await run.result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        await run.send(payment, "paid")  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
        async with hub.worker("shop"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            pass
