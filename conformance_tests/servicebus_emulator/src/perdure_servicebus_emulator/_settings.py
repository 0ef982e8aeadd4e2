"""How a queue is set up."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace

__all__ = ["Queue"]

_KIB, _MIB = 2**10, 2**20
_LOCK_SECONDS_MAX = 300  # The service's limit.
_DUPLICATE_SECONDS_MAX = 7 * 24 * 3600  # The service's limit.


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue.

    Args:
        name: As clients ask for it; the case of letters does not matter.
        lock_seconds: How long a message or session is held; more than 0, at most 300.
        deliveries_max: After so many deliveries without success a message is dead-lettered; 1 or more.
        ttl_seconds: How long a message lives at most, more than 0; None: for ever.
        dead_letter_on_expiration: Dead-letter what has outlived that, rather than drop it.
        requires_session: Each message belongs to a session, and sessions are received one at a time.
        duplicate_window_seconds: How long the ids of messages are remembered, to drop one that comes again; more than
            0, at most seven days; None: not at all.
        size_bytes_max: Room for messages, dead letters and states of sessions, with 512 bytes for each of them.
        message_bytes_max: The longest message, and the longest batch.

    Raises:
        ValueError: A number is out of its range; the message names it.
    """

    name: str
    _: KW_ONLY
    lock_seconds: float = 60.0
    deliveries_max: int = 10
    ttl_seconds: float | None = None
    dead_letter_on_expiration: bool = False
    requires_session: bool = False
    duplicate_window_seconds: float | None = None
    size_bytes_max: int = 100 * _MIB
    message_bytes_max: int = 256 * _KIB

    def __post_init__(self) -> None:
        for name, is_valid, range_ in (
            ("name", bool(self.name), "must not be empty"),
            ("lock_seconds", 0 < self.lock_seconds <= _LOCK_SECONDS_MAX, "must be more than 0, at most 300"),
            ("deliveries_max", self.deliveries_max >= 1, "must be 1 or more"),
            ("ttl_seconds", self.ttl_seconds is None or self.ttl_seconds > 0, "must be more than 0, or None"),
            ("duplicate_window_seconds", self._window_is_valid(), "must be more than 0, at most 7 days, or None"),
            ("size_bytes_max", self.size_bytes_max > 0, "must be more than 0"),
            ("message_bytes_max", self.message_bytes_max > 0, "must be more than 0"),
        ):
            if not is_valid:
                raise ValueError(f"Queue {self.name!r}: {name} {range_}, not {getattr(self, name)!r}.")

    def for_dead_letters(self) -> Queue:
        """Return how the queue of its dead letters is set up: they live for ever, and have no sessions."""
        return replace(
            self,
            name=f"{self.name}/$DeadLetterQueue",
            ttl_seconds=None,
            requires_session=False,
            duplicate_window_seconds=None,
        )

    def _window_is_valid(self) -> bool:
        seconds = self.duplicate_window_seconds
        return seconds is None or 0 < seconds <= _DUPLICATE_SECONDS_MAX
