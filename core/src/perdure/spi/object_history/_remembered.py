"""What is remembered of heads: only to save the GET before a PUT, never to refuse anything."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.ids import Key
    from perdure.spi.object_history._head import Head
    from perdure.spi.objects import Etag

__all__ = ["Remembered", "Seen"]

_BYTES_MAX = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Seen:
    """A head as it was read or written; neither etag nor head where there is none."""

    etag: Etag | None = None
    head: Head | None = None

    @property
    def version(self) -> int:
        """Of the head; 0 where there is none."""
        return self.head.version if self.head else 0


class Remembered:
    """The heads that were seen last, up to 32 MiB of them."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Key, Seen] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key) -> Seen:
        """Give what is remembered of a key; an empty one if that is nothing."""
        seen = self._seen.get(key)
        if seen is None:
            return Seen()
        self._seen.move_to_end(key)
        return seen

    def put(self, key: Key, seen: Seen) -> None:
        """Remember a head instead of what was known of the key."""
        self.forget(key)
        if seen.head is None:
            return
        self._seen[key] = seen
        self._bytes += seen.head.size
        while self._bytes > _BYTES_MAX:
            self.forget(next(iter(self._seen)))

    def forget(self, key: Key) -> None:
        """Know nothing of a key any more."""
        seen = self._seen.pop(key, None)
        if seen is not None and seen.head is not None:
            self._bytes -= seen.head.size
