"""What comes with perdure-core, and what must not come with it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points, requires

PRINT_MODULES = "import sys, perdure; print(*sorted(name.partition('.')[0] for name in sys.modules))"


def test_importing_perdure_loads_no_command_line_and_no_provider() -> None:
    """Application code and serverless functions pay for what they use."""
    done = subprocess.run([sys.executable, "-c", PRINT_MODULES], capture_output=True, text=True, check=True)

    assert not {"click", "rich", "perdure_local", "boto3", "azure"} & set(done.stdout.split())


def test_core_depends_on_pluggy_and_msgspec_only() -> None:
    always = [requirement for requirement in requires("perdure-core") or [] if "extra ==" not in requirement]

    assert sorted(requirement.partition(">")[0] for requirement in always) == ["msgspec", "pluggy"]


def test_the_memory_provider_is_found_as_a_plugin() -> None:
    (found,) = entry_points(group="perdure", name="memory")

    assert found.load().__name__ == "perdure.memory"
