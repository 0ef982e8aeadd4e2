"""What goes wrong on the way to a hub: drawn from a seed, and nothing that the clauses of `perdure.spi` rule out.

Unavailable says that nothing happened; so only a call that changes nothing may have its answer lost under it. An append
may be in doubt (H4), and so may a commit (C5): both are answered Unknown then, whether or not they had their effect, or
will have it. A batch may be sent in part (Q8), and what is sent twice is two messages (Q11).
"""

from __future__ import annotations

import asyncio
import logging
import random
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, cast

from perdure.spi import SendOutcome, Unavailable, Unknown
from perdure_conformance.scenarios._line import Line
from perdure_conformance.scenarios._process import ProcessDied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from perdure.spi import Clock, Envelope

__all__ = ["FAULTS", "Fault", "Faults"]

logger = logging.getLogger("perdure_conformance.faults")

T = TypeVar("T")


class Fault(Enum):
    """What can happen to one call."""

    REFUSED = "refused"
    THROTTLED = "refused, and the next ones too"
    SLOW = "slow"
    TWICE = "done twice"
    ANSWER_LOST = "done, and its answer lost"
    LOST = "lost on the way there"
    LATE = "answered by an error, and done later"
    IN_PART = "sent in part"


_ANY = (Fault.REFUSED, Fault.THROTTLED, Fault.SLOW)
_LOOKING = (*_ANY, Fault.TWICE, Fault.ANSWER_LOST)
_IN_DOUBT = (*_ANY, Fault.TWICE, Fault.ANSWER_LOST, Fault.LOST, Fault.LATE)
FAULTS: dict[str, tuple[Fault, ...]] = {
    **dict.fromkeys(("read", "changed", "ended", "get_payload", "scan", "payloads"), _LOOKING),
    **dict.fromkeys(("append", "commit"), _IN_DOUBT),
    **dict.fromkeys(("put_payload", "delete_payloads", "complete", "abandon", "renew"), (*_ANY, Fault.TWICE)),
    "send": (*_ANY, Fault.TWICE, Fault.IN_PART),
    **dict.fromkeys(("purge", "receive", "dead_letter"), _ANY),
}
"""What can happen to which call."""

THROTTLED_CALLS_MAX = 4
SECONDS_MAX_MOMENTS = 15
"""Longer than the shortest lease of the scenarios: what is slow or late may find that somebody else has gone on."""

IN_DOUBT_ERRORS = (Unknown, Unavailable)


class Faults:
    """The faults of one scenario.

    Args:
        seed: Decides everything that does not depend on the order in which calls come.
        clock: What slow calls wait by.
        moment: Seconds of the harness's moment.
        rate: Share of calls that something happens to, 0 to 1.

    Attributes:
        count: How many calls met one.
        is_over: Nothing happens any more.
    """

    def __init__(self, seed: str, clock: Clock, moment: float, rate: float) -> None:
        self.count = 0
        self.is_over = False
        self._seed = seed
        self._clock = clock
        self._moment = moment
        self._rate = rate
        self._lines = 0
        self._late: list[asyncio.Task[object]] = []

    def line(self, *, works: bool) -> Line:
        """Make the line of one more process.

        Args:
            works: It is a worker's. Others meet faults in what they commit: after any other call, people ask again.
        """
        self._lines += 1
        chance = random.Random(f"{self._seed} line {self._lines}")  # noqa: S311 - repeatable is what it is for
        return _FaultyLine(self, f"process {self._lines}", chance, FAULTS if works else {"commit": _IN_DOUBT})

    async def settle(self) -> None:
        """Wait for the calls that are late.

        Raises:
            Exception: What one of them failed with, unless it only was in doubt once more.
        """
        for task in self._late:
            await asyncio.wait([task])
            if not isinstance(task.exception(), (*IN_DOUBT_ERRORS, ProcessDied, type(None))):
                task.result()

    def strikes(self, chance: random.Random) -> bool:
        """Draw whether something happens to a call."""
        return not self.is_over and chance.random() < self._rate

    def note(self, text: str) -> None:
        """Count a fault, and have it shown if the scenario fails."""
        self.count += 1
        logger.warning("%d: %s", self.count, text)

    async def wait(self, share: float) -> None:
        """Wait for a share of the longest time; mostly it is short."""
        await self._clock.sleep(SECONDS_MAX_MOMENTS * self._moment * share**3)

    def later(self, call: Callable[[], Awaitable[object]], share: float) -> None:
        """Make a call when its caller has given up."""

        async def arrive() -> object:
            await self.wait(share)
            return await call()

        self._late.append(asyncio.create_task(arrive()))


class _FaultyLine(Line):
    def __init__(
        self, faults: Faults, name: str, chance: random.Random, possible: dict[str, tuple[Fault, ...]]
    ) -> None:
        self._faults = faults
        self._name = name
        self._chance = chance
        self._possible = possible
        self._throttled_left = 0

    async def carry(self, operation: str, subject: object, call: Callable[..., Awaitable[T]]) -> T:
        possible = self._possible.get(operation)
        if possible is None or self._faults.is_over:
            return await call()
        if self._throttled_left > 0:
            self._throttled_left -= 1
            self._faults.note(f"{self._name}: {operation} still refused")
            raise Unavailable("too many calls")
        if not self._faults.strikes(self._chance):
            return await call()
        fault = self._chance.choice(possible)
        self._faults.note(f"{self._name}: {operation} {fault.value}")
        return await self._meet(fault, operation, subject, call)

    async def _meet(self, fault: Fault, operation: str, subject: object, call: Callable[..., Awaitable[T]]) -> T:
        share = self._chance.random()
        match fault:
            case Fault.REFUSED:
                raise Unavailable("the call is refused")
            case Fault.THROTTLED:
                self._throttled_left = self._chance.randint(1, THROTTLED_CALLS_MAX)
                raise Unavailable("too many calls")
            case Fault.SLOW:
                await self._faults.wait(share)
                return await call()
            case Fault.TWICE:
                return await _twice(call)
            case Fault.ANSWER_LOST:
                await call()
                raise self._lost(operation, "the answer got lost")
            case Fault.LOST:
                raise Unknown("the request got lost")
            case Fault.LATE:
                self._faults.later(call, share)
                raise Unknown("no answer to a call that may still arrive")
            case Fault.IN_PART:
                return cast("T", await self._in_part(subject, call))

    def _lost(self, operation: str, text: str) -> Exception:
        """Choose an error: a committer may not even know that it is in doubt."""
        kinds: dict[str, list[type[Exception]]] = {"append": [Unknown], "commit": [Unknown, Unavailable]}
        return self._chance.choice(kinds.get(operation, [Unavailable]))(text)

    async def _in_part(self, subject: object, call: Callable[..., Awaitable[Any]]) -> list[SendOutcome]:
        """Send some messages of a batch, and say so of each."""
        messages = cast("Sequence[Envelope]", subject)
        chosen = {index for index in range(len(messages)) if self._chance.random() < 1 / 2}
        sent = iter(await call([messages[index] for index in sorted(chosen)]) if chosen else [])
        not_sent = Unavailable("this one is not sent")
        return [
            next(sent) if index in chosen else SendOutcome(message.message_id, not_sent)
            for index, message in enumerate(messages)
        ]


async def _twice(call: Callable[..., Awaitable[T]]) -> T:
    answer = await call()
    try:
        await call()
    except IN_DOUBT_ERRORS:
        return answer  # Underneath, faults may happen to it: nobody waits for this answer.
    return answer
