"""Mutants: providers broken on purpose and rules switched off, each with the promise that must notice.

A suite that nothing can fail proves nothing. `python -m perdure_mutants` plants every fault and says what caught it.
"""

from perdure_mutants._list import MUTANTS
from perdure_mutants._mutant import Edit, Mutant, Verdict
from perdure_mutants._run import try_all

__all__ = ["MUTANTS", "Edit", "Mutant", "Verdict", "try_all"]
