"""asyncio as it is: each story is recorded, then replayed in new processes, with other hash seeds, on each Python.

`PERDURE_TEST_PYTHONS` names the other interpreters, separated as in PATH; each needs what core depends on, msgspec and
pluggy. Without it only the running one is used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from replay_simulator import Recording, outcome_of, record, replay
from replay_stories import STORIES

import perdure

SEEDS = range(5)
MINORS = (11, 12, 13)
SCRIPT = Path(__file__).parent / "replay_simulator.py"

REORDERED_BETWEEN_MINORS = {"waiting_for_side_by_side": [{11, 12}, {11, 13}]}
"""Stories that asyncio itself orders differently on two minors: an instance begun on one stalls on the other.

`asyncio.wait_for` makes a task of what it waits for up to 3.11, and awaits it directly from 3.12 on: the timer and what
is awaited are asked for in another order. There is no way around it; the engine replay-checks such instances first.
"""

SAME_FOR_EVERY_SEED: dict[str, Any] = {
    "sleeping": [True],
    "gathering": [0, 2, 4, 6, 8, 10, 12, 14],
    "gathering_exceptions": ["2", "fail: ValueError: fail a", "slept", "fail: ValueError: fail b"],
    "grouping": 30,
    "rescheduling_a_timeout": [False, True],
    "waiting_for_in_time": [0, 2, 4],
    "waiting_for_too_long": ["late", "xx", "late", "late"],
    "waiting_for_all": 6,
    "waiting_for_the_first_exception": [True],
    "waiting_with_a_timeout": [False, True, False],
    "taking_calls_as_they_complete_until_late": [2, 2, "late"],
    "locking": ["a in", "a out", "b in", "b out", "c in", "c out"],
    "setting_events": ["a", "b", "c"],
    "notifying": [0, 1, 2],
    "limiting": [2],
    "shielding": [True, 1],
    "keeping_contexts_apart": ["default", "a", "b", "c", "default"],
    "cancelling_with_cleanup": ["cleanupcleanup", "clean", "cancelled"],
    "uncancelling": ["went onwent on", 0],
    "generating": [0, 2, 4, 6, 8],
    "generating_and_leaving_early": [0, 0],
    "generating_side_by_side": [[0, 2], [0, 2, 4]],
    "racing_an_event_and_a_timeout": ["3"],
    "listening_side_by_side": [0, 1, 2],
    "retrying": [0, 1, 2, 3],
    "giving_up": "stopped",
    "having_children": ["2", "ValueError: fail 2", "6"],
    "ordering_sets_of_futures": [15],
}
SAME_BUT_FOR_THE_ORDER: dict[str, list[Any]] = {
    "groups_in_groups": [[0, 2, 4], [20, 22, 24], [40, 42, 44]],
    "waiting_for_the_first": [0, 1, 2, 3, 4, 5, 6, 7],
    "taking_as_they_complete": [100, 101, 102, 103, 104, 105, 106, 107],
    "queueing": [0, 2, 4, 6, 8, 10, 12, 14],
}


@pytest.mark.parametrize("name", SAME_FOR_EVERY_SEED)
def test_a_story_ends_as_in_asyncio_whatever_the_order_of_answers(name: str) -> None:
    assert [outcome_of(record(name, seed)) for seed in SEEDS] == [SAME_FOR_EVERY_SEED[name]] * len(SEEDS)


@pytest.mark.parametrize("name", SAME_BUT_FOR_THE_ORDER)
def test_a_story_tells_the_order_of_answers(name: str) -> None:
    outcomes = [outcome_of(record(name, seed)) for seed in SEEDS]

    assert [sorted(each) for each in outcomes] == [SAME_BUT_FOR_THE_ORDER[name]] * len(SEEDS)
    assert len({str(each) for each in outcomes}) > 1


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_recorded_the_same_way_every_time_and_replays(name: str) -> None:
    for seed in SEEDS:
        recording = record(name, seed)
        assert recording.turns == record(name, seed).turns
        assert replay(recording) == "same"


def pythons() -> dict[int, str]:
    """Find an interpreter for each minor by running the candidates."""
    found = {sys.version_info.minor: sys.executable}
    for candidate in filter(None, os.environ.get("PERDURE_TEST_PYTHONS", "").split(os.pathsep)):
        answer = subprocess.run(
            [candidate, "-c", "import sys, msgspec, pluggy; print(sys.version_info.minor)"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if answer.returncode == 0:
            found.setdefault(int(answer.stdout), candidate)
    return found


@pytest.fixture(scope="module", name="recordings")
def _recordings() -> list[Recording]:
    return [record(name, seed) for name in STORIES for seed in SEEDS]


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_every_story_replays_in_a_new_process_on_each_python(
    recordings: list[Recording], minor: int, hash_seed: str, tmp_path: Path
) -> None:
    """No memory, no set order and no address of the recording process may matter."""
    python = pythons().get(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} with msgspec and pluggy: name one in PERDURE_TEST_PYTHONS")
    exported = tmp_path / "recordings"
    exported.write_bytes(msgspec.msgpack.encode(recordings))

    said = replayed_by(python, exported, hash_seed)

    here = sys.version_info.minor
    differing = {each.story for each, answer in zip(recordings, said, strict=True) if answer != "same"}
    allowed = {name for name, pairs in REORDERED_BETWEEN_MINORS.items() if {here, minor} in pairs}
    assert differing == allowed, [answer for answer in said if answer != "same"][:3]


def replayed_by(python: str, exported: Path, hash_seed: str) -> list[str]:
    environment = os.environ | {
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": str(Path(perdure.__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [python, str(SCRIPT), str(exported)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said
