"""How often a change is tried again, and what may be said when that is over."""

from __future__ import annotations

from perdure.errors import Unavailable, Unknown

__all__ = ["ROUNDS_MAX", "Attempts"]

ATTEMPTS = 4
ROUNDS_MAX = 10
"""Looks at the head in one call. After a refused condition the next look decides, so a service that keeps its promises
needs one for each lost answer and two more."""
_RETRY_FIRST_SECONDS = 0.05


class Attempts:
    """Counts lost answers: after the first one, or once a change is visible, no error may say that nothing happened."""

    def __init__(self, what: str) -> None:
        self.lost = 0
        self.is_visible = False
        self._what = what

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next one."""
        return _RETRY_FIRST_SECONDS * 2.0**self.lost

    def note(self, error: Unavailable | Unknown) -> None:
        """Count an error, and raise it if the caller must decide now."""
        if isinstance(error, Unavailable) and not self.lost and not self.is_visible:
            raise error
        self.lost += 1
        if self.lost == ATTEMPTS:
            raise Unknown(f"{self._what} may have been written: repeat the identical call. ({error})") from error

    def never_held(self) -> Unknown:
        """Explain a condition that was refused each time though the head is as expected."""
        return Unknown(
            f"{self._what} was refused {ROUNDS_MAX} times though the head is as expected: repeat the identical call; "
            "if it stays so, the service breaks the promises of ConditionalObjects."
        )
