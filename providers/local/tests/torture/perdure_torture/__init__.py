"""Real worker processes on one hub, killed on purpose. For any provider: see `torture`.

Not for `memory:`, which no second process can open.
"""

from perdure_torture.board import Phase
from perdure_torture.load import collect, errand, expected_of, go, item
from perdure_torture.torture import HANG_SECONDS, UNFINISHED, Place, Process, Setting, torture, until

__all__ = [
    "HANG_SECONDS",
    "UNFINISHED",
    "Phase",
    "Place",
    "Process",
    "Setting",
    "collect",
    "errand",
    "expected_of",
    "go",
    "item",
    "torture",
    "until",
]
