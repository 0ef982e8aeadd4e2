"""SIGKILL, SIGSTOP and dying clients on `sqlite:`, with Steps as one transaction and as one part after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from perdure_torture import DefectsContract, Setting, TortureContract

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class TestTorture(TortureContract):
    @pytest.fixture
    def setting(self, tmp_path: Path) -> Setting:
        return Setting(url=f"sqlite:{tmp_path / 'hub'}")


class TestTortureOfAnOutbox(TortureContract):
    """The path of every provider whose store and queue share no transaction, on the store and queue at hand."""

    kills = 20

    @pytest.fixture
    def setting(self, tmp_path: Path) -> Setting:
        return Setting(url=f"sqlite:{tmp_path / 'hub'}", is_outbox=True)


class TestDefects(DefectsContract):
    @pytest.fixture
    def setting(self, tmp_path: Path) -> Setting:
        return Setting(url=f"sqlite:{tmp_path / 'hub'}")
