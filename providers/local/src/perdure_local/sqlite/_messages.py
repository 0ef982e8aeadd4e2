"""Messages inside the database: what sending, receiving and acknowledging do in a write transaction.

A lease is valid while `since <= now < until` on the monotonic clock, which all processes of one machine share and
which starts again when the machine does: a lease that begins in the future is from before a reboot, and void. One that
happens to lie in the present again ends by itself, after at most the time it was given for. Wall time decides only
when a delayed message is due.
"""

# ruff: noqa: S608 - statements are put together from constants of this module

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from perdure.spi import Claim, DeadLetter, Delivery, Envelope, Key, QueueName
from perdure_local.sqlite._statements import for_each_in, insert_rows, largest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

__all__ = ["AFFINITY_SECONDS", "MessageChanges", "Moment", "Order", "find_lease_end", "find_next", "read_dead_letters"]

AFFINITY_SECONDS = 0.05
"""So long a message is left to the process that ran the last turn of its group and has it in its cache."""

_DIGITS = 20
"""A number with so many does not fit into a column."""

_ENVELOPE = 'messages.message_id, messages."group", messages.body, messages.not_before, messages.partition'
_READY = f"SELECT ready.id, ready.count, {_ENVELOPE} FROM ready JOIN messages USING (id) WHERE ready.queue = ?"
_DEAD = (
    f"SELECT id, nonce, count, reason, {_ENVELOPE} FROM dead JOIN messages USING (id) WHERE dead.queue = ? "
    "ORDER BY id LIMIT ?"
)
_ENDED = "FROM leases WHERE queue = :queue AND NOT (since <= :now AND :now < until)"
_DUE = "FROM delayed WHERE queue = :queue AND due <= :now"
_NOT_LEFT_TO_ANOTHER = """
    AND NOT (ready.since BETWEEN ? AND ? AND EXISTS (
        SELECT 1 FROM instances WHERE key = messages."group" AND holder IN ({})))
"""


class Moment(NamedTuple):
    """What time it is, on both clocks."""

    wall: float
    monotonic: float


class Lease(NamedTuple):
    """A row of `leases`."""

    id: int
    queue: str
    nonce: int
    since: float
    until: float
    delivery_count: int
    holder: int


class Order(NamedTuple):
    """What a worker asks for.

    Attributes:
        queue: Where from.
        limit: At most so many.
        lease_seconds: For how long.
        nonce: New for each order: makes its receipts unlike all earlier ones.
        deliveries_max: What was delivered so often goes to the dead letters instead.
        holders: Other processes that wait for messages; what they had last is left to them for a moment.
        sweep: Whether a lease may have ended.
    """

    queue: QueueName
    limit: int
    lease_seconds: float
    nonce: int
    deliveries_max: int
    holders: tuple[int, ...] = ()
    sweep: bool = True


class MessageChanges:
    """The messages of one write transaction."""

    def __init__(self, connection: sqlite3.Connection, holder: int) -> None:
        """Begin with nothing read and nothing to write.

        Args:
            connection: In a write transaction.
            holder: Who holds what is delivered here.
        """
        self._holder = holder
        self.changed_queues: set[QueueName] = set()
        self._connection = connection
        self._known: dict[int, Lease | None] = {}
        self._next_id = 0
        self._messages: list[tuple[object, ...]] = []
        self._ready: list[tuple[object, ...]] = []
        self._delayed: list[tuple[object, ...]] = []
        self._leases: dict[int, Lease] = {}
        self._dead: list[tuple[object, ...]] = []
        self._unleased: list[int] = []
        self._gone: list[int] = []

    def load(self, deliveries: Iterable[Delivery]) -> None:
        """Read the leases of these deliveries together."""
        ids = [id_ for id_, _ in map(_parse, deliveries) if id_ not in self._known]
        self._known.update(dict.fromkeys(ids))
        statement = "SELECT id, queue, nonce, since, until, count, holder FROM leases WHERE id IN"
        self._known.update((row[0], Lease(*row)) for row in for_each_in(self._connection, statement, ids))

    def send(
        self, envelopes: Iterable[Envelope], at: Moment, claim: Claim | None = None, nonce: int = 0
    ) -> list[Delivery]:
        """Add messages; those that are claimed and due are born leased.

        Returns:
            What is held now.
        """
        claimed = (self._add(envelope, at, claim, nonce) for envelope in envelopes)
        return [delivery for delivery in claimed if delivery is not None]

    def complete(self, deliveries: Sequence[Delivery], at: Moment) -> list[bool]:
        """Delete what is still held."""
        leases = [self._end_lease(delivery, at) for delivery in deliveries]
        self._gone += [lease.id for lease in leases if lease is not None]
        return [lease is not None for lease in leases]

    def abandon(self, deliveries: Sequence[Delivery], at: Moment, delay_seconds: float) -> None:
        """Give back what is still held."""
        for delivery in deliveries:
            lease = self._end_lease(delivery, at)
            if lease is not None:
                due = at.wall + delay_seconds if delay_seconds > 0 else 0.0
                self._place(delivery.envelope.queue, lease.id, due, lease.delivery_count, at)

    def renew(self, deliveries: Sequence[Delivery], at: Moment, lease_seconds: float) -> list[bool]:
        """Hold what is still held for so long from now."""
        leases = [self._find_lease(delivery, at) for delivery in deliveries]
        for lease in leases:
            if lease is not None:
                self._hold(lease._replace(since=at.monotonic, until=at.monotonic + lease_seconds))
        return [lease is not None for lease in leases]

    def dead_letter(self, deliveries: Sequence[Delivery], at: Moment, reason: str) -> None:
        """Put aside what is still held."""
        for delivery in deliveries:
            lease = self._end_lease(delivery, at)
            if lease is not None:
                self._dead.append((lease.id, lease.queue, lease.nonce, lease.delivery_count, reason))

    def receive(self, order: Order, at: Moment) -> list[Delivery]:
        """Lease what is ready, oldest first; what came too often goes to the dead letters."""
        self.write()
        self._make_ready(order, at)
        found = self._find_ready(order, at)
        numbers = [row[0] for row in found]
        for_each_in(self._connection, "DELETE FROM ready WHERE queue = ? AND id IN", numbers, before=(order.queue,))
        worn_out = [row for row in found if row[1] >= order.deliveries_max]
        self._dead += [
            (row[0], order.queue, order.nonce, row[1], f"Delivered {row[1]} times and never completed.")
            for row in worn_out
        ]
        until = at.monotonic + order.lease_seconds
        return [
            self._deliver(
                Lease(row[0], order.queue, order.nonce, at.monotonic, until, row[1] + 1, self._holder),
                _envelope(order.queue, row[2:]),
            )
            for row in found
            if row[1] < order.deliveries_max
        ]

    def end_leases_of(self, holders: Sequence[int]) -> bool:
        """End what is held by processes that are gone: it is found as any lease that has ended.

        Returns:
            Whether there was something.
        """
        self.write()
        held = for_each_in(self._connection, "SELECT DISTINCT queue FROM leases WHERE holder IN", holders)
        for_each_in(self._connection, "UPDATE leases SET until = since WHERE holder IN", holders)
        self.changed_queues.update(QueueName(row[0]) for row in held)
        return bool(held)

    def redrive(self, letters: Sequence[DeadLetter], at: Moment) -> list[bool]:
        """Make dead letters ready again."""
        answers = [self._unbury(letter) for letter in letters]
        for letter, was_there in zip(letters, answers, strict=True):
            if was_there:
                self._place(letter.envelope.queue, _parse(letter)[0], 0.0, 0, at)
        return answers

    def drop(self, letters: Sequence[DeadLetter]) -> list[bool]:
        """Delete dead letters."""
        answers = [self._unbury(letter) for letter in letters]
        self._gone += [_parse(letter)[0] for letter, was_there in zip(letters, answers, strict=True) if was_there]
        return answers

    def write(self) -> int:
        """Write what was decided so far: first what is new, then what is over.

        Returns:
            How many rows.
        """
        rows = sum(
            map(len, (self._messages, self._ready, self._delayed, self._leases, self._dead, self._unleased, self._gone))
        )
        columns = 'messages (id, queue, message_id, "group", partition, not_before, body)'
        insert_rows(self._connection, columns, self._messages)
        insert_rows(self._connection, "ready (queue, id, count, since)", self._ready)
        insert_rows(self._connection, "delayed (queue, due, id, count)", self._delayed)
        leases = "leases (id, queue, nonce, since, until, count, holder)"
        renewed = "ON CONFLICT (id) DO UPDATE SET since = excluded.since, until = excluded.until"
        insert_rows(self._connection, leases, list(self._leases.values()), on_conflict=renewed)
        insert_rows(self._connection, "dead (id, queue, nonce, count, reason)", self._dead)
        for_each_in(self._connection, "DELETE FROM leases WHERE id IN", self._unleased)
        for_each_in(self._connection, "DELETE FROM messages WHERE id IN", self._gone)
        for buffer in (self._messages, self._ready, self._delayed, self._dead, self._unleased, self._gone):
            buffer.clear()
        self._leases.clear()
        return rows

    def _add(self, envelope: Envelope, at: Moment, claim: Claim | None, nonce: int) -> Delivery | None:
        self._next_id = (self._next_id or largest(self._connection, "messages", "id")) + 1
        self._messages.append((
            self._next_id, envelope.queue, envelope.message_id, envelope.group, envelope.partition,
            envelope.not_before, envelope.body,
        ))  # fmt: skip
        due = envelope.not_before if envelope.not_before > at.wall else 0.0
        if due or claim is None or envelope.message_id not in claim.message_ids:
            self._place(envelope.queue, self._next_id, due, 0, at)
            return None
        until = at.monotonic + claim.lease_seconds
        lease = Lease(self._next_id, envelope.queue, nonce, at.monotonic, until, 1, self._holder)
        return self._deliver(lease, envelope)

    def _place(self, queue: QueueName, id_: int, due: float, count: int, at: Moment) -> None:
        if due:
            self._delayed.append((queue, due, id_, count))
        else:
            self._ready.append((queue, id_, count, at.monotonic))
        self.changed_queues.add(queue)

    def _deliver(self, lease: Lease, envelope: Envelope) -> Delivery:
        self._hold(lease)
        return Delivery(envelope, f"{lease.id}.{lease.nonce}", lease.delivery_count, lease.until)

    def _hold(self, lease: Lease) -> None:
        self._leases[lease.id] = self._known[lease.id] = lease

    def _find_lease(self, delivery: Delivery, at: Moment) -> Lease | None:
        """Find the lease that a receipt speaks of, if it is still valid."""
        id_, nonce = _parse(delivery)
        if id_ not in self._known:
            self.load((delivery,))
        lease = self._known[id_]
        valid = lease is not None and lease.nonce == nonce and lease.since <= at.monotonic < lease.until
        return lease if valid else None

    def _end_lease(self, delivery: Delivery, at: Moment) -> Lease | None:
        lease = self._find_lease(delivery, at)
        if lease is not None:
            self._known[lease.id] = None
            self._unleased.append(lease.id)
        return lease

    def _make_ready(self, order: Order, at: Moment) -> None:
        """Move what is due, and what is held by nobody any more, to where it is found."""
        self._move_to_ready(_DUE, {"queue": order.queue, "now": at.wall, "since": at.monotonic})
        if order.sweep:
            self._move_to_ready(_ENDED, {"queue": order.queue, "now": at.monotonic, "since": at.monotonic})

    def _move_to_ready(self, which: str, parameters: dict[str, object]) -> None:
        self._connection.execute(f"INSERT INTO ready SELECT queue, id, count, :since {which}", parameters)
        self._connection.execute(f"DELETE {which}", parameters)

    def _find_ready(self, order: Order, at: Moment) -> list[tuple[int, int, str, str, bytes, float, int]]:
        left = ""
        parameters: list[object] = [order.queue]
        if order.holders:
            left = _NOT_LEFT_TO_ANOTHER.format(", ".join("?" * len(order.holders)))
            parameters += [at.monotonic - AFFINITY_SECONDS, at.monotonic, *order.holders]
        statement = f"{_READY} {left} ORDER BY ready.id LIMIT ?"
        return self._connection.execute(statement, [*parameters, order.limit]).fetchall()

    def _unbury(self, letter: DeadLetter) -> bool:
        self.write()
        gone = self._connection.execute("DELETE FROM dead WHERE id = ? AND nonce = ?", _parse(letter))
        return gone.rowcount > 0


def find_next(connection: sqlite3.Connection, queue: QueueName) -> tuple[bool, float | None]:
    """Look whether a message is ready, and when the next delayed one is due (wall time; None: there is none)."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM ready WHERE queue = :queue), (SELECT min(due) FROM delayed WHERE queue = :queue)",
        {"queue": queue},
    ).fetchone()
    return bool(row[0]), row[1]


def find_lease_end(connection: sqlite3.Connection, queue: QueueName, now: float) -> float | None:
    """Find when the first lease of a queue ends: 0 or the past if one has ended, None if there is none.

    It looks at every lease; do not call it for each message.
    """
    row = connection.execute(
        "SELECT min(iif(since <= ?, until, 0)) FROM leases WHERE queue = ?", (now, queue)
    ).fetchone()
    return None if row[0] is None else float(row[0])


def read_dead_letters(connection: sqlite3.Connection, queue: QueueName, limit: int) -> list[DeadLetter]:
    """List dead letters, oldest first."""
    rows = connection.execute(_DEAD, (queue, limit))
    return [DeadLetter(_envelope(queue, row[4:]), row[3], row[2], f"{row[0]}.{row[1]}") for row in rows.fetchall()]


def _envelope(queue: QueueName, row: Sequence[Any]) -> Envelope:
    message_id, group, body, not_before, partition = row
    return Envelope(queue, message_id, Key(group), body, not_before, partition)


def _parse(held: Delivery | DeadLetter) -> tuple[int, int]:
    """Take a receipt apart; one that is not ours fits nothing."""
    id_, _, nonce = held.receipt.partition(".")
    is_ours = id_.isdecimal() and nonce.isdecimal() and len(id_) < _DIGITS and len(nonce) < _DIGITS
    return (int(id_), int(nonce)) if is_ours else (0, 0)
