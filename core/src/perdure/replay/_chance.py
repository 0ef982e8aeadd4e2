"""Everything in an execution that looks random, derived from its recorded seed: the same on every replay.

`Random` is used seeded only; nothing here draws from the process.
"""

from __future__ import annotations

import hashlib
from random import Random

__all__ = ["Random", "child_seed", "derive_bytes", "fraction", "generator", "hash_salt"]


def derive_bytes(purpose: str, seed: int, execution: int, number: int, *, length: int) -> bytes:
    """Derive `length` bytes (1 to 64) for one purpose; another purpose, execution or number gives unrelated ones."""
    text = f"{purpose}/{seed}/{execution}/{number}"
    return hashlib.blake2b(text.encode(), digest_size=length).digest()


def _derive_int(purpose: str, seed: int, execution: int, number: int) -> int:
    return int.from_bytes(derive_bytes(purpose, seed, execution, number, length=8), "big")


def hash_salt(seed: int, execution: int) -> int:
    """Where the hashes of an execution's tasks and futures begin, spread over instances."""
    return _derive_int("hash", seed, execution, 0)


def child_seed(seed: int, execution: int, seq: int) -> int:
    """Seed of the sub-orchestration that command `seq` creates; fits 63 bits."""
    return _derive_int("child", seed, execution, seq) >> 1


def fraction(seed: int, execution: int, seq: int) -> float:
    """Draw from 0 (included) to 1 (excluded), for the jitter after the failed attempt `seq`."""
    return (_derive_int("jitter", seed, execution, seq) >> 11) / (1 << 53)


def generator(seed: int, execution: int) -> Random:
    """Make the generator that `perdure.rng()` hands out."""
    return Random(_derive_int("rng", seed, execution, 0))  # noqa: S311 - not for secrets; it must repeat
