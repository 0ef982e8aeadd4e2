"""asyncio as it is: each story is recorded, then replayed in new processes, with other hash seeds, on each Python.

`PERDURE_TEST_PYTHONS` names the other interpreters, separated as in PATH; each needs msgspec. Without it only the
running one is used.
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
from replay_battery import STORIES, Recording, outcome_of, record, replay

import perdure

SEEDS = range(5)
MINORS = (11, 12, 13)
FOLDER = Path(__file__).parent
REORDERED_BETWEEN_MINORS: dict[str, set[tuple[int, int]]] = {}
"""Stories that asyncio itself orders differently on two minors, as (recorded on, replayed on)."""

EXPECTED: dict[str, Any] = {}


def recordings() -> list[Recording]:
    return [record(name, seed) for name in STORIES for seed in SEEDS]


@pytest.fixture(scope="module", name="recorded")
def _recorded() -> list[Recording]:
    return recordings()


@pytest.mark.parametrize("name", STORIES)
def test_a_story_ends_as_it_does_in_asyncio_and_replays_in_this_process(name: str) -> None:
    for seed in SEEDS:
        recording = record(name, seed)
        print(name, seed, outcome_of(recording))
        assert replay(recording) == "same"
