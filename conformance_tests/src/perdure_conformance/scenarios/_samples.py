"""Orchestrations, activities and events that several groups tell their stories with."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure import Event, activity, orchestration

__all__ = ["double", "doubling", "echo", "fail", "number", "sleeping", "summing", "text", "waiting"]

number: Event[int] = Event("number")
text: Event[str] = Event("text")


@activity
async def double(value: int) -> int:
    return value * 2


@activity
async def echo(value: Any) -> Any:
    return value


@activity
async def fail(message: str) -> None:
    raise ValueError(message)


@orchestration
async def doubling(value: int) -> int:
    return await double(value)


@orchestration
async def waiting() -> int:
    return await number()


@orchestration
async def summing(count: int) -> list[int]:
    return [await number() for _ in range(count)]


@orchestration
async def sleeping(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "awake"
