"""Lets the tests of this folder import what they share."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest imports test modules by path, so that no folder is importable; these modules are, by name.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "behaviours")]
