"""Administration: what a provider offers beside a store or queue to set up its place and to look at it.

The commands `perdure provision` and `perdure doctor` call it. A backend that makes what it needs by itself has none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from perdure.spi.queue import QueueName

__all__ = ["Administration", "Finding", "Measure"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        subject: What, in a few words: `queue perdure-shop-tasks-default`.
        detail: How it is.
        mend: What to do; empty where all is well.
    """

    subject: str
    detail: str
    mend: str = ""

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.mend


class Measure(msgspec.Struct, frozen=True):
    """One thing that a place needs.

    Attributes:
        subject: What, in a few words.
        change: What is done about it; empty where it is as it must be.
    """

    subject: str
    change: str = ""


class Administration(ABC):
    """Sets up and examines the place of one store or queue.

    Every method may raise Unavailable (the same call again, later) and Misuse (no rights, a name that is taken …; the
    message says the mend).
    """

    async def aclose(self) -> None:
        """Let go of everything. Twice is allowed."""

    @abstractmethod
    def provision(self, queues: Sequence[QueueName], *, dry_run: bool) -> AsyncIterator[Measure]:
        """Make what is missing, and nothing that is there already; given again, it changes nothing.

        Args:
            queues: Which queues will be used; a store has no use for them.
            dry_run: Only tell.

        Yields:
            Each thing that the place needs, when it is done.
        """

    @abstractmethod
    def examine(self, queues: Sequence[QueueName]) -> AsyncIterator[Finding]:
        """Look at what the interfaces cannot show: rights, settings, attributes. Changes nothing that lasts.

        Args:
            queues: Which queues are used; a store has no use for them.
        """

    @abstractmethod
    def policies(self, queues: Sequence[QueueName]) -> Mapping[str, str]:
        """Give the smallest rights, ready to paste, by role: `worker`, `client`, `sweeper`.

        Args:
            queues: Which queues will be used.
        """
