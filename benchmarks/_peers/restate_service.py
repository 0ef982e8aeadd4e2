"""The Python service that a Restate server calls: the same workflows, as handlers. An ASGI server runs `app`."""

# mypy: disable-error-code="untyped-decorator"
# (Where mypy runs, the peer is not installed.)

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

import restate  # type: ignore[import-not-found, unused-ignore]

peers = restate.Service("peers")


class Request(TypedDict):
    """What every handler takes: the text that comes back, and how many steps or seconds."""

    text: str
    amount: float


async def step(text: str) -> str:
    """Do nothing."""
    return text


@peers.handler()
async def chain(context: restate.Context, request: Request) -> str:
    """Run steps one after another."""
    text = request["text"]
    for _ in range(int(request["amount"])):
        text = await context.run_typed("step", step, restate.RunOptions(), text)
    return text


@peers.handler()
async def fan(context: restate.Context, request: Request) -> int:
    """Run steps in parallel.

    Returns:
        How many returned the text.
    """
    text = request["text"]
    calls = [context.run_typed("step", step, restate.RunOptions(), text) for _ in range(int(request["amount"]))]
    await restate.gather(*calls)
    return [await call for call in calls].count(text)


@peers.handler()
async def nap(context: restate.Context, request: Request) -> str:
    """Sleep durably."""
    await context.sleep(timedelta(seconds=request["amount"]))
    return request["text"]


app = restate.app([peers])
