"""Who receives from a queue, as the queue sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure_servicebus_emulator._errors import Refused
    from perdure_servicebus_emulator._message_sessions import Session
    from perdure_servicebus_emulator._stored import Message

__all__ = ["Consumer"]


class Consumer(ABC):
    """A receiver. `keeps_lock`: peek-lock; otherwise a message is gone when it is delivered."""

    keeps_lock: bool

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it takes one more message now."""

    @abstractmethod
    def deliver(self, message: Message, token: bytes, locked_until: float) -> None:
        """Take a message. Asked only while it is ready.

        Args:
            message: What to send.
            token: Names the lock; 16 bytes.
            locked_until: Seconds since the epoch; without a lock 0.
        """

    @abstractmethod
    def session_accepted(self, session: Session) -> None:
        """Hear that the next free session, which it waited for, is its own now."""

    @abstractmethod
    def end(self, refused: Refused) -> None:
        """Hear that its session's lock is lost, or that it has waited in vain."""
