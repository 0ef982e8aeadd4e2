"""A message as a text, for SQS carries nothing else: a line of ours, then the body.

    perdure/1 ["{message id}","{group}",{partition},{not before},{1: base64},"{reason}",{delivery count}]
    {body}

The last two are of messages that were put aside, or given back as new ones. All in one text rather than in attributes
of SQS: those have the same alphabet and count as much, but each with its name and type, and they would have to be asked
for.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode

import msgspec

from perdure.spi import Corrupt, Envelope, Key, Misuse, QueueName, TooNew
from perdure_aws.sqs._limits import HEADER_BYTES_MAX

__all__ = ["REASON_CHARACTERS_MAX", "Header", "read_message", "write_message"]

_ANY_FORMAT = "perdure/"
_FORMAT = "perdure/1 "

REASON_CHARACTERS_MAX = 1000
_REASON_BYTES_MAX = 12 * REASON_CHARACTERS_MAX + 64
"""JSON writes a character beyond the first 65,536 as two escapes of six bytes each."""

# What SQS takes, but for the carriage return: whoever passes a message on as XML makes a line feed of it.
_NO_TEXT = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is said of a body. Fields are only ever appended."""

    message_id: str
    group: str
    partition: int
    not_before: float
    is_base64: int
    reason: str = ""
    delivery_count: int = 0


def write_message(envelope: Envelope, *, reason: str = "", delivery_count: int = 0) -> str:
    """Write a message as a text that SQS takes.

    Args:
        envelope: What to send; its queue is not written.
        reason: Why it is put aside; empty for one that is not. What is beyond `REASON_CHARACTERS_MAX` is left out.
        delivery_count: How often it was received already, by whatever message it was before.

    Raises:
        Misuse: Id or group hold a lone surrogate, or are too long.
    """
    body, is_base64 = _as_text(envelope.body)
    header = [envelope.message_id, envelope.group, envelope.partition, envelope.not_before, int(is_base64)]
    _check_names(envelope)
    if reason or delivery_count:
        header += [reason[:REASON_CHARACTERS_MAX].encode(errors="replace").decode(), delivery_count]
    # ASCII with escapes: names may hold characters that SQS does not take.
    return f"{_FORMAT}{json.dumps(header, separators=(',', ':'))}\n{body}"


def read_message(text: str, queue: QueueName) -> tuple[Envelope, Header]:
    """Read what `write_message` wrote, as a message of this queue.

    Raises:
        Corrupt: It is no message of Perdure, or a damaged one.
        TooNew: It was written by a newer release.
    """
    if not text.startswith(_FORMAT):
        if text.startswith(_ANY_FORMAT):
            raise TooNew(f"{queue}: a message in the format {text[:20]!r}: leave it to a newer worker.")
        raise Corrupt(f"{queue}: no message of Perdure, it begins with {text[:20]!r}. Who else sends to this queue?")
    line, _, body = text.removeprefix(_FORMAT).partition("\n")
    try:
        header = msgspec.json.decode(line, type=Header)
        content = b64decode(body, validate=True) if header.is_base64 else body.encode()
    except ValueError as error:
        raise Corrupt(f"{queue}: a damaged message, it begins with {text[:40]!r}: {error}") from error
    envelope = Envelope(
        queue, header.message_id, Key(header.group), content, not_before=header.not_before, partition=header.partition
    )
    return envelope, header


def _as_text(body: bytes) -> tuple[str, bool]:
    """Give a body as a text, and whether it had to be encoded."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return b64encode(body).decode(), True
    if _NO_TEXT.search(text):
        return b64encode(body).decode(), True
    return text, False


def _check_names(envelope: Envelope) -> None:
    names = envelope.message_id + envelope.group
    try:
        names.encode()
    except UnicodeEncodeError as error:
        raise Misuse(f"{names[:40]!r} holds a lone surrogate: remove it.") from error
    most = HEADER_BYTES_MAX - _REASON_BYTES_MAX
    if len(json.dumps(names)) > most:
        raise Misuse(
            f"Message {envelope.message_id[:40]!r}: id and group have at most {most} bytes as JSON in ASCII, these "
            f"have {len(json.dumps(names))}: use shorter ones."
        )
