"""`$cbs`: where clients put their tokens. Every token is good, and opens everything to its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator._requests import Reply

if TYPE_CHECKING:
    from perdure_servicebus_emulator._connection import Connection
    from perdure_servicebus_emulator._requests import Request

__all__ = ["answer_token"]

_PUT = "put-token"


def answer_token(request: Request, connection: Connection) -> Reply:
    """Take a token."""
    if request.operation != _PUT:
        return _reply(400, f"$cbs knows the operation {_PUT!r} only, not {request.operation!r}.")
    connection.is_authorized = True
    return _reply(202, "Accepted")


def _reply(status: int, description: str) -> Reply:
    # Not the names that `$management` uses: the service has both.
    return Reply({
        codec.string("status-code"): codec.integer(status),
        codec.string("status-description"): codec.string(description),
    })  # fmt: skip
