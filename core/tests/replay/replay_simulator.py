"""Records stories by answering their commands in an order that a seed chooses, and replays what was recorded.

As a script (`python replay_simulator.py FILE`) it replays the recordings of a file and prints what came of each.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import replay_durable_stories
from replay_stories import STORIES
from replay_support import Code, Driven, Turn, decode, encode

from perdure.commands import CancelTask, CancelTimer, CreateSubOrchestration, ScheduleTask, SetTimer
from perdure.errors import Failure, NotDeterministic
from perdure.events import (
    INPUTS,
    EventRaised,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS_MAX = 1000

assert replay_durable_stories.STORIES is STORIES  # both files fill it


class Simulator:
    """Answers the commands of one execution in an order that a seed chooses; time goes on only when it must."""

    def __init__(self, code: Code, seed: int) -> None:
        self.driven = Driven(code, seed=seed)
        self._random = random.Random(seed)
        self._open: dict[int, INPUTS] = {}
        self._timers: dict[int, float] = {}
        self._attempts: dict[str, int] = {}
        self._pings = [EventRaised("ping", encode(index), f"m{index}") for index in range(4)]

    def run(self) -> Driven:
        """Run to the end; the record is in the answer's `history`."""
        commands = self.driven.start()
        for _ in range(TURNS_MAX):
            for command in commands:
                self._take(command)
            if self.driven.execution.is_closed:
                return self.driven
            inputs, seconds = self._choose()
            commands = self.driven.turn(*inputs, after=seconds)
        raise AssertionError(f"{self.driven.code.__name__} did not end in {TURNS_MAX} turns")

    def _take(self, command: object) -> None:
        match command:
            case ScheduleTask(seq=seq, name=name, input=payload) if name != "never":
                self._open[seq] = self._answer(seq, name, decode(payload), TaskCompleted, TaskFailed)
            case CreateSubOrchestration(seq=seq, name=name, input=payload):
                self._open[seq] = self._answer(
                    seq, name, decode(payload), SubOrchestrationCompleted, SubOrchestrationFailed
                )
            case SetTimer(seq=seq, fire_at=fire_at):
                self._timers[seq] = fire_at
            case CancelTimer(seq=seq):
                del self._timers[seq]
            case CancelTask(seq=seq):
                if self._random.random() < 0.5:  # the others come late
                    self._open.pop(seq, None)
            case _:
                pass

    def _answer(
        self, seq: int, name: str, value: Any, good: Callable[..., INPUTS], bad: Callable[..., INPUTS]
    ) -> INPUTS:
        key = f"{name}/{value}"
        self._attempts[key] = self._attempts.get(key, 0) + 1
        if name == "fail" or (name == "flaky" and self._attempts[key] <= value):
            return bad(seq, Failure("ValueError", f"{name} {value}"))
        return good(seq, encode(value * 2 if name == "double" else value))

    def _choose(self) -> tuple[list[INPUTS], float]:
        """Some answers and events, in any order; before them the timers that are due (R19)."""
        seconds = self._random.choice([0.0, 0.0, 0.5, 2.0])
        ready = [*self._open]
        self._random.shuffle(ready)
        chosen = [self._open.pop(seq) for seq in ready[: self._random.randint(0, 3)]]
        if self._pings and self._random.random() < 0.3:
            chosen.append(self._pings.pop(0))
        if not chosen and not self._open:
            seconds = max([0.0, *(fire_at - self.driven.now for fire_at in sorted(self._timers.values())[:1])])
        now = self.driven.now + seconds
        due = sorted((fire_at, seq) for seq, fire_at in self._timers.items() if fire_at <= now)
        for _, seq in due:
            del self._timers[seq]
        return [*(TimerFired(seq) for _, seq in due), *chosen], seconds


class Recording(msgspec.Struct):
    """The history of one story, as it is exported."""

    story: str
    seed: int
    python_minor: int
    turns: list[Turn]


def record(name: str, seed: int) -> Recording:
    """Simulate a story."""
    driven = Simulator(STORIES[name], seed).run()
    driven.execution.close()
    return Recording(name, seed, sys.version_info.minor, driven.history)


def replay(recording: Recording) -> str:
    """Replay a recording from scratch; say what came of it: `same`, or the mismatch."""
    code = STORIES.get(recording.story)
    if code is None:
        return "unknown"
    driven = Driven(code, seed=recording.seed)
    try:
        for turn in recording.turns:
            driven.execution.replay(turn.started, turn.inputs, turn.decisions)
    except NotDeterministic as error:
        return str(error)
    else:
        return "same" if driven.execution.is_closed else "did not end"
    finally:
        driven.execution.close()


def outcome_of(recording: Recording) -> Any:
    """Decode the result of a recording, or the failure."""
    ended = recording.turns[-1].decisions[-1]
    return decode(ended.result) if hasattr(ended, "result") else ended  # type: ignore[arg-type]


def main() -> None:
    recordings = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=list[Recording])
    sys.stdout.write(json.dumps([replay(each) for each in recordings]))


if __name__ == "__main__":
    main()
