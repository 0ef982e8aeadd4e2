"""Clock, randomness and log for orchestrations: the same on every replay. Outside they are the real ones."""

from __future__ import annotations

import logging
import random
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perdure.authoring._info import current
from perdure.errors import NotInOrchestration
from perdure.replay import current_loop

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["logger", "now", "rng", "uuid4"]

_real_randomness = random.Random()  # noqa: S311 - stands in for `random`; it is not for secrets.


def now() -> datetime:
    """Give the time in UTC: in an orchestration that of its turn, which every replay repeats."""
    loop = current_loop()
    return datetime.now(UTC) if loop is None else datetime.fromtimestamp(loop.now(), UTC)


def uuid4() -> uuid.UUID:
    """Make a random UUID: in an orchestration one that every replay repeats and no other instance makes."""
    loop = current_loop()
    return uuid.uuid4() if loop is None else uuid.UUID(bytes=loop.random_id_bytes()[:16], version=4)


def rng() -> random.Random:
    """Give the generator of random numbers: in an orchestration one that every replay repeats. Not for secrets."""
    loop = current_loop()
    return _real_randomness if loop is None else loop.rng()


class _QuietInReplay(logging.LoggerAdapter[logging.Logger]):
    """Says everything once: what a replay repeats was said when it first happened."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name.
        loop = current_loop()
        return (loop is None or not loop.is_replaying) and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        try:
            place = current()
        except NotInOrchestration:
            return msg, kwargs
        known = {"instance_id": place.instance_id, "execution": place.execution, "attempt": place.attempt}
        return msg, {**kwargs, "extra": known | dict(kwargs.get("extra") or {})}


logger = _QuietInReplay(logging.getLogger("perdure.app"))
"""Log of orchestrations and activities: `perdure.app`, silent while replaying. Its records carry `instance_id`,
`execution` and `attempt`."""
