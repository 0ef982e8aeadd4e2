"""How each service words its refusals, and which requests it answers with a conflict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BLOB", "S3", "SQS", "Dialect"]

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words of one service.

    Attributes:
        busy: Status, headers and body of "slow down".
        conflict: The same of "another conditional request is under way"; None where the service has no such answer.
        is_conditional: Tells from method and lower-case names of headers whether a request could meet that.
    """

    busy: tuple[int, Headers, bytes]
    conflict: tuple[int, Headers, bytes] | None
    is_conditional: Callable[[str, frozenset[str]], bool]


def _xml(code: str, message: str) -> bytes:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return text.encode()


def _is_conditional_put(method: str, headers: frozenset[str]) -> bool:
    return method == "PUT" and bool(headers & {"if-match", "if-none-match"})


_XML = (("content-type", "application/xml"),)
_JSON = (("content-type", "application/x-amz-json-1.0"), ("x-amzn-query-error", "RequestThrottled;Sender"))

S3 = Dialect(
    busy=(503, _XML, _xml("SlowDown", "Please reduce your request rate.")),
    conflict=(409, _XML, _xml("ConditionalRequestConflict", "A conflicting conditional operation is in progress.")),
    is_conditional=_is_conditional_put,
)
SQS = Dialect(
    busy=(400, _JSON, b'{"__type":"com.amazonaws.sqs#RequestThrottled","message":"Rate exceeded"}'),
    conflict=None,
    is_conditional=lambda _method, _headers: False,
)
BLOB = Dialect(
    busy=(503, (*_XML, ("x-ms-error-code", "ServerBusy")), _xml("ServerBusy", "The server is busy.")),
    conflict=None,
    is_conditional=lambda _method, _headers: False,
)
