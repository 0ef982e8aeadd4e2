"""Writes the golden files of what has none yet. Never rewrites one: histories of every release are read for ever.

    python core/tests/codec/_record_golden.py

When a field was appended to an event or a message, raise its number in `EDITIONS` and run this: the older file stays
and must still be read.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from codec_support import EPOCH, MESSAGES, PAYLOAD, REFERENCE, SAMPLES, VERSION

from perdure import codec, events
from perdure.records import TurnRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GOLDEN = Path(__file__).parent / "golden"
EDITIONS: dict[str, int] = {}
"""Which edition of a golden file is the newest; 1 where nothing is said."""

_LENGTH = struct.Struct(">I")

TASK = SAMPLES["TaskScheduled"]
CHILD = SAMPLES["SubOrchestrationCreated"]
TIMER = SAMPLES["TimerCreated"]

Turn = tuple[tuple[events.INPUTS, ...], tuple[events.DECISIONS, ...]]

STORIES: dict[str, tuple[Turn, ...]] = {
    "ExecutionStarted": (),
    "ExecutionCompleted": (((), (SAMPLES["ExecutionCompleted"],)),),
    "ExecutionFailed": (((), (SAMPLES["ExecutionFailed"],)),),
    "ExecutionCanceled": (((), (SAMPLES["ExecutionCanceled"],)),),
    "TaskScheduled": (((), (TASK, events.TaskScheduled(2, "notify", REFERENCE))),),
    "TaskCompleted": (((), (TASK,)), ((SAMPLES["TaskCompleted"],), ())),
    "TaskFailed": (((), (TASK,)), ((SAMPLES["TaskFailed"],), ())),
    "TaskCancelRequested": (((), (TASK,)), ((), (SAMPLES["TaskCancelRequested"],))),
    "SubOrchestrationCreated": (((), (TASK, CHILD)),),
    "SubOrchestrationCompleted": (((), (CHILD,)), ((SAMPLES["SubOrchestrationCompleted"],), ())),
    "SubOrchestrationFailed": (((), (CHILD,)), ((SAMPLES["SubOrchestrationFailed"],), ())),
    "TimerCreated": (((), (TIMER,)),),
    "TimerFired": (((), (TIMER,)), ((SAMPLES["TimerFired"],), ())),
    "TimerCanceled": (((), (TIMER,)), ((), (SAMPLES["TimerCanceled"],))),
    "EventRaised": (((SAMPLES["EventRaised"], events.EventRaised("payment", PAYLOAD, "message-2")), ()),),
    "TurnStarted": (((), ()),),
    "TurnFailed": (((SAMPLES["EventRaised"],), (SAMPLES["TurnFailed"],)), ((), ())),
}


def history_of(name: str) -> list[TurnRecord]:
    """Tell the shortest legal story in which an event happens; a day passes between its turns."""
    records = [TurnRecord(VERSION, "first", "first", 0, None, (SAMPLES["ExecutionStarted"],), ())]
    for count, (inputs, decisions) in enumerate(STORIES[name], start=1):
        turn = events.TurnStarted(EPOCH + count * 86_400, "worker-1", "code-1", 12)
        version = VERSION + count
        records.append(
            TurnRecord(version, f"turn-{count}", "first", 0, turn, inputs, decisions, version - 2 if count > 1 else 0)
        )
    return records


def edition(name: str) -> str:
    return f"{name}.{EDITIONS.get(name, 1)}"


def framed(records: Iterable[bytes]) -> bytes:
    """Join records, each behind its length."""
    return b"".join(_LENGTH.pack(len(record)) + record for record in records)


def unframed(data: bytes) -> Iterator[bytes]:
    """Undo `framed`."""
    while data:
        (length,) = _LENGTH.unpack_from(data)
        yield data[_LENGTH.size : _LENGTH.size + length]
        data = data[_LENGTH.size + length :]


def main() -> None:
    """Write what is missing."""
    for name in STORIES:
        records = history_of(name)
        _write(GOLDEN / f"{edition(name)}.bin", framed(map(codec.encode, records)))
        _write(GOLDEN / f"{edition(name)}.jsonl", "".join(f"{line}\n" for line in codec.export_lines(records)).encode())
    for name, message in MESSAGES.items():
        _write(GOLDEN / "messages" / f"{edition(name)}.bin", codec.encode(message))


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        file.write_bytes(data)


if __name__ == "__main__":
    main()
