"""All queues of a namespace, by name, and the one list of when they have something to do."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._queue import MessageQueue
from perdure_servicebus_emulator._session_queue import SessionQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure_servicebus_emulator._clock import Clock
    from perdure_servicebus_emulator._settings import Queue

__all__ = ["Broker"]

_DEAD_LETTERS = "$deadletterqueue"


class Broker:
    """The queues of a namespace.

    Args:
        queues: Their settings.
        clock: What time it is.

    Raises:
        ValueError: Two queues have the same name.
    """

    def __init__(self, queues: Iterable[Queue], clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, MessageQueue]] = []
        self._numbers = count()
        self._queues: dict[str, MessageQueue] = {}
        for settings in queues:
            self._add(settings)

    def _add(self, settings: Queue) -> None:
        name = settings.name.casefold()
        if name in self._queues:
            raise ValueError(f"Two queues are named {settings.name!r}: the case of letters does not matter.")
        queue = (SessionQueue if settings.requires_session else MessageQueue)(settings, self._clock, self._tell)
        assert queue.dead_letters is not None, "Only a queue of dead letters has none."
        self._queues[name], self._queues[f"{name}/{_DEAD_LETTERS}"] = queue, queue.dead_letters

    def _tell(self, when: float, queue: MessageQueue) -> None:
        heappush(self._due, (when, next(self._numbers), queue))

    def find(self, path: str) -> MessageQueue:
        """Return the queue at a path: `orders`, `orders/$DeadLetterQueue`.

        Raises:
            Refused: There is none.
        """
        queue = self._queues.get(path.strip("/").casefold())
        if queue is None:
            names = ", ".join(sorted(queue.settings.name for queue in self.queues())) or "none"
            raise Refused(
                Condition.NOT_FOUND, f"The messaging entity {path!r} could not be found. Queues here: {names}."
            )
        return queue

    def queues(self) -> list[MessageQueue]:
        """List the queues; dead letters are parts of theirs."""
        return [queue for queue in self._queues.values() if queue.dead_letters is not None]

    def next_due(self) -> float | None:
        """Return when `run_due` has something to do."""
        return self._due[0][0] if self._due else None

    def run_due(self) -> None:
        """Let happen what is due."""
        now = self._clock.now()
        due: dict[MessageQueue, None] = {}
        while self._due and self._due[0][0] <= now:
            due[heappop(self._due)[2]] = None
        for queue in due:
            queue.run_due()
