"""CrashContract, level 7: a process dies at each of its calls to the hub, one after the other, and others go on.

    class TestCrashes(CrashContract):
        harness = MyHarness

Each call of store, queue and committer has two points: before it, and after it, when its answer finds nobody. A story
is told once to count them, and once more for each of them with a process that dies there; then the oracles judge.
"""

from perdure_conformance.crashes._contract import CrashContract

__all__ = ["CrashContract"]
