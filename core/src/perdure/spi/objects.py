"""ConditionalObjects: whole objects under names, replaced only if they still are what the writer saw.

The smallest thing that `ObjectHistoryStore` needs of a service: S3, Azure blobs, plain files and a dict all have it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NewType

import msgspec

from perdure.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = [
    "OBJECT_NAME_BYTES_MAX",
    "OBJECT_NAME_PART_BYTES_MAX",
    "Absent",
    "ConditionalObjects",
    "Etag",
    "Found",
    "ObjectsCapabilities",
    "PreconditionFailed",
    "Unchanged",
    "check_object_name",
]

Etag = NewType("Etag", str)
"""What a service calls one content of one object. Opaque; may be the same again for the same bytes."""

OBJECT_NAME_BYTES_MAX = 900
OBJECT_NAME_PART_BYTES_MAX = 255
_PART = rf"(?!\.{{1,2}}(?:/|\Z))[a-z0-9._-]{{1,{OBJECT_NAME_PART_BYTES_MAX}}}"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")


class ObjectsCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a service of objects can do.

    Attributes:
        object_bytes_max: Largest object of one `put`.
        server_time: Whether `Found.server_time` is the service's clock; otherwise it is 0.
    """

    object_bytes_max: int
    server_time: bool


class Found(msgspec.Struct, frozen=True):
    """An object as it was read: a whole one, never a mix of two.

    Attributes:
        data: Its content.
        etag: For `known_etag` and `if_match`.
        server_time: Wall time by the service's clock, in seconds since the epoch; 0 if it does not tell.
    """

    data: bytes
    etag: Etag
    server_time: float = 0.0


class Absent(msgspec.Struct, frozen=True):
    """There is no object of that name."""


class Unchanged(msgspec.Struct, frozen=True):
    """The object still has the content that `known_etag` names; `server_time` as in `Found`."""

    server_time: float = 0.0


class PreconditionFailed(msgspec.Struct, frozen=True):
    """The object is not what the condition says. This request changed nothing; an earlier equal one may have."""


class ConditionalObjects(ABC):
    """Whole objects under names.

    O1  A put that returned an etag is durable, and every later get, put and list sees it.
    O2  Of several puts with `if_absent`, or with one `if_match`, at most one succeeds while the object is not deleted
        or given the very same bytes again.
    O3  A get returns one put's bytes whole; `Unchanged` only if the content is the one that `known_etag` names.
    O4  A put whose answer is lost raises Unknown and may still happen later; it is never repeated behind the caller's
        back. A put that raised anything else, or returned PreconditionFailed, will not happen any more.
    O5  A list yields every name with the prefix that was there from its start to its end, once, in ascending order.
    Not promised: that etags of equal bytes differ, an order between names, speed.

    Names are parts of `[a-z0-9._-]` joined by slashes, at most 900 bytes, a part at most 255; no part is empty, `.` or
    `..`. Callers use no name that is the folder of another one (`a` beside `a/b`), so that plain files can hold them.

    Every method may raise Unavailable (nothing happened: the same call again, later), is safe to cancel (what was under
    way may still happen) and may be called from several tasks at once.
    """

    capabilities: ObjectsCapabilities

    async def open(self) -> None:
        """Get ready. Called once, before anything else.

        Raises:
            Misuse: The place cannot be used; the message says the mend.
        """

    async def aclose(self) -> None:
        """Let go of everything. Twice is allowed."""

    @abstractmethod
    async def get(self, name: str, known_etag: Etag | None = None) -> Found | Absent | Unchanged:
        """Read an object.

        Args:
            name: Whose.
            known_etag: Of an earlier get or put; text that no get or put gave matches nothing.
        """

    @abstractmethod
    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        """Write an object, as a whole.

        Args:
            name: Whose.
            data: At most `capabilities.object_bytes_max`.
            if_absent: Only if there is none.
            if_match: Only if it has this etag. With neither condition: in any case. Never both.

        Returns:
            The etag of what was written.

        Raises:
            Unknown: No answer, it may have happened or still happen: get, and put the identical bytes again.
            Misuse: Over a limit, or not allowed. Nothing was changed.
        """

    @abstractmethod
    async def delete(self, names: Sequence[str]) -> None:
        """Delete objects; those that are not there are passed over. After an error any of them may be gone."""

    @abstractmethod
    def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """Yield the names that begin with `prefix` and are above `after`, in ascending order.

        Args:
            prefix: Any text; empty means all.
            after: Only names above this one.
        """


def check_object_name(name: str) -> str:
    """Check a name of an object.

    Raises:
        Misuse: The message names it and the rule.
    """
    if len(name) > OBJECT_NAME_BYTES_MAX or not _NAME.fullmatch(name):
        raise Misuse(
            f"{name[:80]!r} is no name of an object: use parts of a-z, 0-9, '.', '_' and '-' joined by '/', none of "
            f"them '.' or '..', at most {OBJECT_NAME_PART_BYTES_MAX} characters each, {OBJECT_NAME_BYTES_MAX} in all."
        )
    return name
