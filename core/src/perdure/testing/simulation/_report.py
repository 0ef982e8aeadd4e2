"""A failed run, for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.testing.simulation._scenario import Outcome

__all__ = ["tell"]

LINES_MAX = 80
_HARDLY_TELLING = (" renew ", " changed ", " scan ")


def tell(failed: Outcome, smallest: Outcome) -> str:
    """Tell how a run failed, and how it fails with as few faults as are needed.

    Args:
        failed: The run as the seed has it.
        smallest: What `Simulation.shrink` made of it.

    Returns:
        Lines: what was found, the schedule of faults, those that are needed, and the trace of the smallest run as far
        as it concerns the instances of the findings; its last 80 lines.
    """
    which = "without faults" if failed.seed is None else f"seed {failed.seed}"
    parts = [f"{which}: {len(failed.findings)} findings", *_indented(failed.findings)]
    if failed.faults:
        parts += [f"{len(failed.faults)} faults:", *_indented(failed.faults)]
    if failed.faults and smallest is not failed:
        parts += [f"still found with {len(smallest.faults)} of them:", *_indented(smallest.faults)]
        parts += ["which then finds:", *_indented(smallest.findings)]
    lines = trace_of(smallest)
    left_out = len(lines) - LINES_MAX
    parts += ["trace:", *([f"  … {left_out} lines before"] if left_out > 0 else []), *_indented(lines[-LINES_MAX:])]
    return "\n".join(parts)


def trace_of(outcome: Outcome) -> list[str]:
    """Pick the lines that concern what was found: all if it concerns no instance."""
    instances = {finding.instance for finding in outcome.findings if finding.instance}
    lines = [line for line in outcome.trace if not any(word in line for word in _HARDLY_TELLING)]
    if not instances:
        return lines
    return [line for line in lines if "#" not in line or any(instance in line for instance in instances)]


def _indented(lines: Iterable[object]) -> list[str]:
    return [f"  {line}" for line in lines]
