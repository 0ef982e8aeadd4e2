"""Right uses of what application code imports: mypy and pyright, both strict, must accept every line.

`assert_type` says which type comes out; nothing here is run.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_type

from perdure.authoring import (
    Activity,
    ActivityInfo,
    Current,
    Event,
    Orchestration,
    OrchestrationCall,
    Registry,
    Retry,
    activity,
    activity_info,
    current,
    json_input,
    logger,
    now,
    orchestration,
    rng,
    uuid4,
)
from perdure.client import Run
from perdure.connection import connect
from perdure.replay import Call

if TYPE_CHECKING:
    from perdure.errors import Failure


@dataclass
class Order:
    id: str
    addresses: list[str]


class PaymentDeclined(Exception):
    pass


# ---- declarations ----------------------------------------------------------------------------------------------------

payment: Event[Order] = Event("payment")
approval = Event("approval", bool)
note = Event[str | None]("note")


@activity
async def issue(order: Order) -> str:
    return order.id


@activity
def notify(invoice: str, /, to: str = "all", *, urgent: bool = False) -> None: ...


def is_worth_it(failure: Failure) -> bool | float:
    return 5.0 if failure.retryable else False


@activity(
    name="charge",
    retry=Retry(
        attempts=5, first_delay=1, backoff=2.0, jitter=0.1, retry_on=(OSError, "app.Busy"), handler=is_worth_it
    ),
    timeout=30,
    queue="gpu",
    raises=[PaymentDeclined],
)
async def charge(order: Order) -> int:
    return len(order.addresses)


@activity(timeout=1.5)
def total(*amounts: int, **named: float) -> list[float]:
    return [*amounts, *named.values()]


@orchestration
async def shipping(order: Order, copies: int = 1) -> list[str]:
    return [order.id] * copies


@orchestration(name="invoicing", version="2", queue="slow", raises=[PaymentDeclined])
async def invoicing(order: Order) -> str:
    assert_type(issue(order), Call[str])
    assert_type(await issue(order), str)
    assert_type(await charge(order=order), int)
    assert_type(await total(1, 2, a=0.5), list[float])
    assert_type(await shipping(order), list[str])
    await notify(order.id, to="me", urgent=True)

    assert_type(await asyncio.create_task(issue(order)), str)
    assert_type(await asyncio.gather(issue(order), charge(order)), tuple[str, int])
    assert_type(await asyncio.gather(*(charge(order) for _ in range(3))), list[int])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(charge(order))
        child = group.create_task(shipping(order, copies=2), name="child")
    assert_type(task.result(), int)
    assert_type(child.result(), list[str])
    assert_type(await asyncio.wait_for(issue(order), timeout=5), str)
    done, _ = await asyncio.wait({asyncio.ensure_future(charge(order))})
    assert_type(done.pop().result(), int)

    assert_type(payment(), Call[Order])
    assert_type(await payment(), Order)
    assert_type(await approval(), bool)
    assert_type(await note(), str | None)
    async with asyncio.timeout(60):
        await payment()

    assert_type(await charge.options(retry=None, queue="mail", timeout=0)(order), int)
    assert_type(await charge.options(retry=Retry(attempts=2))(order), int)
    assert_type(await shipping.options(id=order.id, retry=Retry(), queue="fast")(order), list[str])
    return await issue(order)


# ---- definitions as values -------------------------------------------------------------------------------------------


async def takes_a_definition(step: Activity[[Order], str], process: Orchestration[[Order], str], order: Order) -> str:
    return await step(order) + await process(order)


async def uses() -> None:
    order = Order("o", [])
    assert_type(invoicing(order), OrchestrationCall[str])
    assert_type(invoicing(order).encode_input(), bytes)
    assert_type(invoicing(order).decode_result(b""), str)
    assert_type(charge.decode_result(b""), int)
    assert_type(charge.encode_args(order), bytes)
    assert_type(payment.encode(order), bytes)
    assert_type(payment.decode(b""), Order)
    await takes_a_definition(issue, invoicing, order)

    registry = Registry([issue, notify, charge, total, shipping, invoicing])
    assert_type(registry.activity("issue"), Activity[..., Any])
    assert_type(registry.orchestration("invoicing", "2"), Orchestration[..., Any])
    assert_type(json_input(shipping, {"order": {"id": "x"}}), bytes)


# ---- stand-ins -------------------------------------------------------------------------------------------------------


def stand_ins() -> None:
    assert_type(now(), dt.datetime)
    assert_type(uuid4(), uuid.UUID)
    assert_type(rng(), random.Random)
    assert_type(current(), Current)
    assert_type(activity_info(), ActivityInfo)
    assert_type(activity_info().deadline, dt.datetime | None)
    logger.info("order %s", current().instance_id, extra={"a": 1})


# ---- hubs ------------------------------------------------------------------------------------------------------------


async def hubs(order: Order) -> None:
    async with connect("memory:") as hub, hub.worker(invoicing, shipping, issue, charge):
        run = await hub.start(invoicing(order), id="order-1", tags={"of": "ada"}, if_exists="return")
        assert_type(run, Run[str])
        assert_type(await run.result(timeout_seconds=5), str)
        assert_type(await (await hub.start(shipping(order))).result(), list[str])
        await run.send(payment, order)
        await hub.send("order-1", payment, order)
        await hub.send("order-1", "payment", {"anything": 1})
        assert_type(await hub.get("order-1"), Run[Any])
        assert_type([summary.status async for summary in hub.list(status=["Running"])], list[str])
