"""Chance that does not depend on the order of asking: each draw has a name, and a seed gives it its value.

A sequence of random numbers would shift as a whole when one fault is taken out; named draws stay what they were, so
that a failing run can be made smaller.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from perdure.spi import Entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Chance", "NamedEntropy"]

T = TypeVar("T")

_WHOLE = 2**64
_SEED_BYTES = 7
"""What a client draws for the seed of an instance, and nothing else is as long."""


class Chance:
    """Draws by name.

    Args:
        seed: Equal seeds give equal draws.
    """

    def __init__(self, seed: int) -> None:
        self._salt = hashlib.blake2b(str(seed).encode(), digest_size=8)

    def number(self, name: str) -> int:
        """Draw a whole number, 0 or more and below 2**64."""
        drawn = self._salt.copy()
        drawn.update(name.encode())
        return int.from_bytes(drawn.digest(), "big")

    def share(self, name: str) -> float:
        """Draw from 0 up to, not including, 1."""
        return self.number(name) / _WHOLE

    def between(self, name: str, low: float, high: float) -> float:
        """Draw from a range."""
        return low + (high - low) * self.share(name)

    def pick(self, name: str, choices: Sequence[T]) -> T:
        """Draw one of some."""
        return choices[self.number(name) % len(choices)]


class NamedEntropy(Entropy):
    """The randomness of one process.

    Args:
        chance: Where it comes from.
        name: Of the process.
        instance: Of a client: what it starts. The instance's own seed depends on this alone, so that code that draws
            from it gives the same result in every run.
    """

    def __init__(self, chance: Chance, name: str, instance: str = "") -> None:
        self._chance = chance
        self._name = name
        self._instance = instance
        self._count = 0

    def random_bytes(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if self._instance and count == _SEED_BYTES:
            return hashlib.sha256(self._instance.encode()).digest()[:count]
        self._count += 1
        wanted = f"{self._name}/{self._count}"
        drawn = [self._chance.number(f"{wanted}/{part}").to_bytes(8, "big") for part in range(-(-count // 8))]
        return b"".join(drawn)[:count]
