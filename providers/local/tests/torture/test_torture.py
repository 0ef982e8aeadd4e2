"""SIGKILL, SIGSTOP and dying clients on every hub that this package makes, mixed ones too."""

from __future__ import annotations

import pytest
from _harnesses import ApartHarness, FileAndSqliteHarness, FileHarness, SqliteAndFileHarness, SqliteHarness
from perdure_conformance.torture import DefectsContract, KillContract, TortureContract

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class TestTorture(TortureContract):
    harness = SqliteHarness


class TestTortureOfAnOutbox(TortureContract):
    """With Steps carried out one part after the other, on a store and a queue that could do them as a whole."""

    harness = ApartHarness
    kills = 20


class TestTortureOfFiles(TortureContract):
    harness = FileHarness
    kills = 20


class TestTortureOfFilesAndSqlite(KillContract):
    harness = FileAndSqliteHarness
    kills = 10


class TestTortureOfSqliteAndFiles(KillContract):
    harness = SqliteAndFileHarness
    kills = 10


class TestDefects(DefectsContract):
    harness = SqliteHarness
