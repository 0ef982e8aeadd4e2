"""What queues of a hub are called in SQS.

A name begins with what a person recognises, cut to size, and ends with a hash of what it stands for: two hubs or two
queues never share one, however alike they look. Rights can be given for the beginning (`hub_part`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.spi import QueueName, short_id

if TYPE_CHECKING:
    from perdure_aws._settings import Place

__all__ = ["QueueNames", "hub_part", "queue_names"]

# Of the 80 characters that a name may have: 28 + 1 + 28 + 1 + 16 (hash) + 5 (`-dead`).
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
_PART_CHARACTERS_MAX = 28
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class QueueNames:
    """One queue in SQS: where its messages are, and where those that were put aside are."""

    main: str
    dead: str


def queue_names(place: Place, queue: QueueName) -> QueueNames:
    """Derive the names of a hub's queue: the same in every process, and another one for every other queue or hub."""
    # No part holds a null: the three cannot be split in another way.
    meant = f"{place.bucket}\0{place.prefix}\0{queue}"
    digest = short_id(hashlib.blake2b(meant.encode(), digest_size=10).digest())
    main = f"{hub_part(place)}-{_readable(queue)}-{digest}"
    return QueueNames(main=main, dead=f"{main}-dead")


def hub_part(place: Place) -> str:
    """Tell what the names of all queues of a hub begin with; hubs that look alike may share it."""
    return _readable(f"{place.bucket}-{place.prefix}")


def _readable(text: str) -> str:
    return _NOT_ALLOWED.sub("-", text).strip("-")[:_PART_CHARACTERS_MAX].strip("-")
