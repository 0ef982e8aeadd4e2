"""The files of one queue. Every call here waits for the disk: it is made on a thread.

    queues/{name}/lock
    queues/{name}/waiting/{due}.{id}.{count}            not before that time
    queues/{name}/waiting/{since}.{id}.{count}.now      at any time; the time is only its place among the others
    queues/{name}/leased/{end}.{id}.{count}.{boot}      in the order in which their leases end
    queues/{name}/dead/{since}.{id}.{count}             put aside; why: reasons/{id}
    queues/{name}/damaged/…                             what could not be read; nothing looks there but people

Whether a message without a delay is received never depends on the wall clock, which may be set back (R14).

Times are microseconds: due and since by the wall clock, the end of a lease by the machine's monotonic clock, which is
the same for all its processes and starts anew with each boot. `count` is the number of deliveries. A file is written
once and then only moved, under the queue's lock: a crash leaves it in one of the folders, whole. Only sending is
synced: after a power failure a move may be undone, and then the message comes once more, which is allowed (Q1).
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path  # noqa: TC003 - NamedTuple reads it when the program runs
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perdure.spi import Corrupt, DeadLetter, Delivery, Envelope, Key, QueueName
from perdure_local.file._errors import translated
from perdure_local.file._folder import locked, sync_folder, write_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

__all__ = ["Messages", "Moment", "Taken"]

_MICRO = 1_000_000
_FOLDERS = ("waiting", "leased", "dead", "reasons", "damaged", "new")
_FAR = 10**19
_DIGITS = 20
_NOW = "now"
_NO_REASON = "Why it was put aside is not known any more."


class Moment(NamedTuple):
    """What time it is, on both clocks, in seconds, and which start of the machine this is."""

    wall: float
    monotonic: float
    boot: str


class Taken(NamedTuple):
    """What a look found: messages, or when to look again, in seconds from now (None: nothing is known)."""

    deliveries: list[Delivery]
    pause: float | None


class _Info(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a message's file; its body follows."""

    queue: str
    message_id: str
    group: str
    partition: int
    not_before: float
    body_crc: int


class _File(NamedTuple):
    """A message's file, by its name. Its mark: leased, which start of the machine; waiting, `now` or nothing."""

    folder: Path
    time: int
    id: str
    deliveries: int
    mark: str = ""

    @property
    def path(self) -> Path:
        mark = f".{self.mark}" if self.mark else ""
        return self.folder / f"{self.time:0{_DIGITS}}.{self.id}.{self.deliveries}{mark}"

    @property
    def receipt(self) -> str:
        return f"{self.id}.{self.deliveries}"


class Messages:
    """The messages of one queue.

    Args:
        folder: Of the queue; created where it is missing.
        queue: Its name, for messages.
        deliveries_max: After so many deliveries a message is put aside.
    """

    def __init__(self, folder: Path, queue: QueueName, deliveries_max: int) -> None:
        self._folder = folder
        self._queue = queue
        self._deliveries_max = deliveries_max
        self._waiting, self._leased, self._dead = (folder / part for part in _FOLDERS[:3])
        with translated(str(folder)):
            folder.mkdir(mode=0o700, exist_ok=True)
            for part in _FOLDERS:
                (folder / part).mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder)
            sync_folder(folder.parent)

    def send(self, messages: Sequence[tuple[str, Envelope]], at: Moment) -> None:
        """Put messages into the queue, durably; each with an id that no other has."""
        with translated(str(self._folder)):
            written = [self._write(id_, envelope) for id_, envelope in messages]
            for number, ((id_, envelope), new) in enumerate(zip(messages, written, strict=True)):
                delay_seconds = envelope.not_before - at.wall
                new.replace(self._file_to_wait(id_, 0, at, delay_seconds, number).path)
            # Crash here: some are sent, and the sender does not know it: it sends all of them again (Q11).
            sync_folder(self._waiting)

    def receive(self, limit: int, lease_seconds: float, at: Moment) -> Taken:
        """Take messages that are due, or tell when to look again."""
        with translated(str(self._folder)), self._lock():
            next_end = self._take_back(at)
            now = _micros(at.wall)
            waiting, found = _listed(self._waiting), list[Delivery]()
            later = [file for file in waiting if file.mark != _NOW and file.time > now]
            end = at.monotonic + lease_seconds
            for file in [file for file in waiting if file.mark == _NOW or file.time <= now][:limit]:
                leased = _File(self._leased, _micros(end), file.id, file.deliveries + 1, at.boot)
                envelope = self._read(file)
                file.path.replace(leased.path)
                found.append(Delivery(envelope, leased.receipt, leased.deliveries, end))
        if found:
            return Taken(found, None)
        pauses = [(later[0].time - now) / _MICRO] if later else []
        pauses += [next_end] if next_end is not None else []
        return Taken([], min(pauses, default=None))

    def complete(self, receipts: Sequence[str], at: Moment) -> list[bool]:
        """Delete messages that are held."""
        with translated(str(self._folder)), self._lock():
            held = self._held(at)
            files = [held.pop(receipt, None) for receipt in receipts]
            for file in files:
                if file is not None:
                    file.path.unlink()
        return [file is not None for file in files]

    def abandon(self, receipts: Sequence[str], at: Moment, delay_seconds: float) -> list[bool]:
        """Give messages back that are held."""
        with translated(str(self._folder)), self._lock():
            held = self._held(at)
            files = [held.pop(receipt, None) for receipt in receipts]
            for file in files:
                if file is not None:
                    self._give_back(file, at, delay_seconds)
        return [file is not None for file in files]

    def renew(self, receipts: Sequence[str], at: Moment, lease_seconds: float) -> list[bool]:
        """Hold messages for longer."""
        answers: list[bool] = []
        with translated(str(self._folder)), self._lock():
            held = self._held(at)
            for receipt in receipts:
                file = held.get(receipt)
                if file is not None:
                    held[receipt] = file._replace(time=_micros(at.monotonic + lease_seconds))
                    file.path.replace(held[receipt].path)
                answers.append(file is not None)
        return answers

    def dead_letter(self, receipts: Sequence[str], at: Moment, reason: str) -> list[bool]:
        """Put messages aside that are held."""
        with translated(str(self._folder)), self._lock():
            held = self._held(at)
            files = [held.pop(receipt, None) for receipt in receipts]
            for number, file in enumerate(files):
                if file is not None:
                    self._put_aside(file, at, reason, number)
        return [file is not None for file in files]

    def peek(self, limit: int) -> list[DeadLetter]:
        """List what was put aside, oldest first."""
        with translated(str(self._folder)), self._lock():
            return [self._letter(file) for file in _listed(self._dead)[:limit]]

    def redrive(self, receipts: Sequence[str], ids: Sequence[str], at: Moment) -> list[bool]:
        """Put messages back that were put aside, each under a new id: old receipts are of no use any more."""
        with translated(str(self._folder)), self._lock():
            dead = {file.receipt: file for file in _listed(self._dead)}
            files = [dead.pop(receipt, None) for receipt in receipts]
            for number, (file, id_) in enumerate(zip(files, ids, strict=True)):
                if file is not None:
                    file.path.replace(self._file_to_wait(id_, 0, at, 0, number).path)
                    self._reason_of(file).unlink(missing_ok=True)
        return [file is not None for file in files]

    def drop(self, receipts: Sequence[str]) -> list[bool]:
        """Delete messages that were put aside."""
        with translated(str(self._folder)), self._lock():
            dead = {file.receipt: file for file in _listed(self._dead)}
            files = [dead.pop(receipt, None) for receipt in receipts]
            for file in files:
                if file is not None:
                    file.path.unlink(missing_ok=True)
                    self._reason_of(file).unlink(missing_ok=True)
        return [file is not None for file in files]

    # ── one file ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self._folder / "lock")

    def _held(self, at: Moment) -> dict[str, _File]:
        now = _micros(at.monotonic)
        return {file.receipt: file for file in _listed(self._leased) if file.mark == at.boot and file.time > now}

    def _take_back(self, at: Moment) -> float | None:
        """Give back what is leased no more; tell in how many seconds the next lease ends."""
        now, next_end = _micros(at.monotonic), None
        for number, file in enumerate(_listed(self._leased)):
            if file.mark == at.boot and file.time > now:
                pause = (file.time - now) / _MICRO
                next_end = pause if next_end is None else min(next_end, pause)
            elif file.deliveries >= self._deliveries_max:
                self._put_aside(file, at, f"It was delivered {file.deliveries} times and never completed.", number)
            else:
                self._give_back(file, at, 0)
        return next_end

    def _give_back(self, file: _File, at: Moment, delay_seconds: float) -> None:
        if file.deliveries >= self._deliveries_max:
            self._put_aside(file, at, f"It was delivered {file.deliveries} times and never completed.", 0)
        else:
            file.path.replace(self._file_to_wait(file.id, file.deliveries, at, delay_seconds, 0).path)

    def _file_to_wait(self, id_: str, deliveries: int, at: Moment, delay_seconds: float, number: int) -> _File:
        """Name the file of a message that waits: for a time only if it was given a delay."""
        mark = "" if delay_seconds > 0 else _NOW
        return _File(self._waiting, _micros(at.wall + max(0.0, delay_seconds)) + number, id_, deliveries, mark)

    def _put_aside(self, file: _File, at: Moment, reason: str, number: int) -> None:
        reason_file = self._reason_of(file)
        reason_file.unlink(missing_ok=True)
        write_file(reason_file, reason.encode("utf-8", "backslashreplace"))
        # Crash here: a reason without a dead letter. The next one of this message replaces it.
        file.path.replace(_File(self._dead, _micros(at.wall) + number, file.id, file.deliveries).path)

    def _letter(self, file: _File) -> DeadLetter:
        reason = _NO_REASON
        with suppress(FileNotFoundError):  # A power failure may keep the letter and not its reason: neither is synced.
            reason = self._reason_of(file).read_text("utf-8", "replace")
        return DeadLetter(self._read(file), reason, file.deliveries, file.receipt)

    def _reason_of(self, file: _File) -> Path:
        return self._folder / "reasons" / file.id

    def _write(self, id_: str, envelope: Envelope) -> Path:
        info = _Info(
            queue=envelope.queue,
            message_id=envelope.message_id,
            group=envelope.group,
            partition=envelope.partition,
            not_before=envelope.not_before,
            body_crc=zlib.crc32(envelope.body),
        )
        path = self._folder / "new" / id_
        write_file(path, msgspec.json.encode(info) + b"\n" + envelope.body)
        return path

    def _read(self, file: _File) -> Envelope:
        line, _, body = file.path.read_bytes().partition(b"\n")
        with suppress(msgspec.DecodeError):
            info = msgspec.json.decode(line, type=_Info)
            if info.body_crc == zlib.crc32(body):
                queue, group = QueueName(info.queue), Key(info.group)
                return Envelope(queue, info.message_id, group, body, info.not_before, info.partition)
        # Left where it is, it would be met again by every receive, and nothing behind it would be received.
        aside = self._folder / "damaged" / file.path.name
        file.path.replace(aside)
        raise Corrupt(f"{self._queue}: a message is damaged; it was moved to {aside}. The others are received.")


def _listed(folder: Path) -> list[_File]:
    files = [_parsed(folder, path.name) for path in folder.iterdir()]
    return sorted(file for file in files if file is not None)


def _parsed(folder: Path, name: str) -> _File | None:
    """Read a file's name; None if it is none of ours: people put things into folders."""
    time, _, rest = name.partition(".")
    id_, _, rest = rest.partition(".")
    count, _, mark = rest.partition(".")
    if len(time) != _DIGITS or not time.isdigit() or not count.isdigit():
        return None
    return _File(folder, int(time), id_, int(count), mark)


def _micros(seconds: float) -> int:
    return min(max(0, round(seconds * _MICRO)), _FAR)
