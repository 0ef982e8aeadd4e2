"""What the clauses are told with: records, messages, and instance ids that a careless backend mixes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.spi import (
    Append,
    Committed,
    Create,
    Envelope,
    Head,
    HistoryStore,
    Key,
    Purged,
    Query,
    QueueName,
    Summary,
    partition_of,
)

if TYPE_CHECKING:
    from perdure.spi import Token

__all__ = [
    "KEYS",
    "ORDER",
    "TASKS",
    "TURNS",
    "addition",
    "begin",
    "child",
    "creation",
    "ids_of",
    "listed",
    "message",
    "purge",
    "read_head",
    "summary",
]

ORDER = Key("order-4711")
TURNS = QueueName("turns:default")
TASKS = QueueName("tasks:mail")
CREATED_AT = 1_700_000_000.0


def summary(key: str, incarnation: str = "first", **fields: Any) -> Summary:
    """Give a summary of an instance; fields that matter to the test are named."""
    usual: dict[str, Any] = {
        "name": "invoicing",
        "status": "Running",
        "execution": 0,
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
    }
    return Summary(key=key, incarnation=incarnation, **(usual | fields))


def creation(
    key: Key,
    incarnation: str = "first",
    *,
    turn_id: str = "create",
    record: bytes = b"created",
    expected: int = 0,
    becomes: int | None = None,
    **fields: Any,
) -> Append:
    """Give the first record of an instance; it `becomes` a version, by default the next one."""
    return Append(
        key=key,
        turn_id=turn_id,
        record=record,
        version=expected + 1 if becomes is None else becomes,
        expected=expected,
        summary=summary(key, incarnation, **fields),
        create=True,
    )


def addition(
    key: Key,
    expected: int,
    *,
    turn_id: str | None = None,
    record: bytes = b"turn",
    incarnation: str = "first",
    becomes: int | None = None,
    **fields: Any,
) -> Append:
    """Give a further record of an instance; it `becomes` a version, by default the next one."""
    return Append(
        key=key,
        turn_id=f"turn-after-{expected}" if turn_id is None else turn_id,
        record=record,
        version=expected + 1 if becomes is None else becomes,
        expected=expected,
        summary=summary(key, incarnation, **fields),
    )


async def begin(store: HistoryStore, key: Key = ORDER, records: int = 1, **fields: Any) -> int:
    """Create an instance, let it grow to `records` records, and tell its version."""
    outcome = await store.append(creation(key, **fields))
    assert outcome == Committed(version=1)
    for expected in range(1, records):
        assert await store.append(addition(key, expected, **fields)) == Committed(version=expected + 1)
    return records


async def purge(store: HistoryStore, key: Key, expected: int) -> int:
    """Purge an instance and tell the version of its tombstone."""
    outcome = await store.purge(key, expected)
    assert isinstance(outcome, Purged)
    return outcome.version


async def read_head(store: HistoryStore, key: Key, *, after: int = 0, known: Token | None = None) -> Head:
    """Read a history that must be there."""
    head = await store.read(key, after=after, known=known)
    assert isinstance(head, Head), f"{key!r}: a history was expected, not {head!r}"
    return head


async def listed(store: HistoryStore, query: Query | None = None) -> list[str]:
    """List the keys that a scan yields, in its order."""
    return [found.key async for found in store.scan(query or Query())]


def message(
    queue: QueueName, message_id: str = "m-1", *, group: str = "", body: bytes = b"wake", not_before: float = 0.0
) -> Envelope:
    """Give a message; without a group it is in one of its own, so that exclusive groups do not hold it up."""
    key = Key(group or f"group of {message_id}")
    return Envelope(
        queue=queue, message_id=message_id, group=key, body=body, not_before=not_before, partition=partition_of(key)
    )


def child(key: str, incarnation: str = "child", *, parent: str = "parent", expected: int = 0) -> Create:
    """Give the creation of a sub-orchestration: its first turn is woken, or its parent is told."""
    return Create(
        append=creation(Key(key), incarnation, expected=expected, turn_id=f"create-{incarnation}", parent=parent),
        then=message(TURNS, f"wake {key} for {parent}", group=key),
        otherwise=message(TURNS, f"tell {parent} about {key}", group=parent),
    )


def ids_of(deliveries: Any) -> list[str]:
    """List the message ids of deliveries, in their order."""
    return [delivery.envelope.message_id for delivery in deliveries]


KEYS: dict[str, Key] = {
    label: Key(text)
    for label, text in {
        "plain": "order",
        "one letter": "a",
        "the same letter, upper case": "A",
        "below another": "a/b",
        "below another, upper case": "A/b",
        "further below": "a/b/c",
        "slash at the end": "a/",
        "two slashes": "a//b",
        "slash alone": "/",
        "absolute path": "/etc/passwd",
        "one up": "../x",
        "far up": "../../../../../../etc/passwd",
        "up in the middle": "a/../b",
        "backslashes": "..\\x",
        "dot": ".",
        "two dots": "..",
        "hidden": ".order",
        "dot at the end": "order.",
        "space at the end": "order ",
        "space in front": " order",
        "space alone": " ",
        "no-break space": "order\u00a0",
        "zero-width space": "order\u200b",
        "percent": "100%",
        "escaped dot": "%2e",
        "escaped traversal": "%2e%2e%2fx",
        "escaped twice": "%252e",
        "escaped null": "order%00",
        "underscore": "orde_",
        "star": "orde*",
        "brackets": "[a-z]",
        "question mark": "orde?",
        "query and fragment": "order?x=1&y=2#z",
        "quotes": "'\"`",
        "statement": "'; DROP TABLE instances; --",
        "option": "--force",
        "variable": "$HOME",
        "tilde": "~root",
        "colon": "turns:default",
        "equals": "b3JkZXI==",
        "plus": "a+b",
        "device": "CON",
        "device with suffix": "nul.txt",
        "name of a part of a layout": "head",
        "name of a chunk": "c/1-create",
        "composed": "caf\u00e9",
        "decomposed": "cafe\u0301",
        "sharp s": "stra\u00dfe",
        "sharp s, folded": "strasse",
        "dotted capital i": "\u0130",
        "other scripts": "注文-заказ-طلب",
        "right to left": "\u202eorder",
        "line separator": "order\u2028",
        "byte order mark": "\ufefforder",
        "not a character": "\uffff",
        "last character": "\U0010ffff",
        "digits": "0",
        "digits with a zero": "00",
        "256 emoji": "🦆" * 256,
        "256 letters": "x" * 256,
        "256 letters, another at the end": "x" * 255 + "y",
        "255 letters": "x" * 255,
    }.items()
}
"""Instance ids by what is wrong with them. All are valid, and no two are the same."""
