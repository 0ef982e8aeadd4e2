"""What the state machines share: two clients of one empty backend, a loop of their own, and time."""

from __future__ import annotations

import asyncio
import functools
import itertools
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from perdure.spi import WorkerId
from perdure_conformance.model._messages import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from perdure_conformance.harness import Harness

__all__ = ["CLIENTS", "WHO", "WORKERS", "Machine", "after_each", "call"]

CLIENTS = 2
WHO = st.integers(0, CLIENTS - 1)
WORKERS = [WorkerId(f"worker-{who}") for who in range(CLIENTS)]

VIRTUAL_SLACK_SECONDS = 0.001
"""A virtual clock rounds."""


class Machine(RuleBasedStateMachine):
    """One backend, empty, and what may happen to it. Times are in moments of the harness.

    Attributes:
        harness_class: Whose backend; set it in a subclass.
        folder: Where each example gets a folder of its own.
    """

    harness_class: ClassVar[type[Harness]]
    folder: ClassVar[Path]
    numbers: ClassVar = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        home = self.folder / f"example-{next(self.numbers)}"
        home.mkdir()
        self.harness = self.harness_class(home / "hub")
        self._runner = asyncio.Runner()
        try:
            self.finish(self._start())
        except BaseException:
            self._runner.close()
            raise

    def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Run one step to its end."""
        self._runner.run(work)

    def teardown(self) -> None:
        """See what is left, unless a step has failed already; close everything."""
        try:
            if sys.exc_info()[0] is None:
                self.finish(self.at_end())
        finally:
            self.finish(self.harness.aclose())
            self._runner.close()

    async def open_client(self, who: int) -> None:
        """Open what one client needs, in place of what it had."""

    async def close_client(self, who: int) -> None:
        """Close what one client has."""

    async def at_end(self) -> None:
        """Look once more when the last step is done."""

    @property
    def moment(self) -> float:
        """Seconds of the harness's moment."""
        return self.harness.moment

    @property
    def slack_seconds(self) -> float:
        """How exactly the backend keeps its times."""
        return VIRTUAL_SLACK_SECONDS if self.harness.time_is_virtual else self.moment / 4

    def now(self) -> float:
        """Tell the time, on the monotonic clock."""
        return self.harness.environment.clock.monotonic()

    def since(self, began: float) -> Span:
        """Give the span of a call that has just ended."""
        return Span(began, self.now())

    async def crash(self, who: int, *, closes: bool) -> None:
        """Drop a client, which closes what it has or does not even do that, and open another one."""
        if closes:
            await self.close_client(who)
        await self.open_client(who)

    async def _start(self) -> None:
        await self.harness.start()
        for who in range(CLIENTS):
            await self.open_client(who)


def call(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Any]:
    """Make a rule of a coroutine function; its arguments are drawn."""

    def make(function: Callable[..., Coroutine[Any, Any, None]]) -> Any:
        into: Any = rule  # Its overloads know no arguments that are drawn by a dict.
        return into(**drawn)(_in_loop(function))

    return make


def after_each(function: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    """Make a coroutine function one that is called after each step."""
    return invariant()(_in_loop(function))


def _in_loop(function: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(function)
    def run(machine: Machine, **drawn: Any) -> None:
        machine.finish(function(machine, **drawn))

    return run
