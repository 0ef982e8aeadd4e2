"""`python -m perdure_mutants`: every mutant, what must catch it, and what did."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from perdure_mutants._list import MUTANTS
from perdure_mutants._run import try_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure_mutants._mutant import Verdict


def main() -> int:
    """Try what the command line names; 1 if any was not caught."""
    arguments = _parse(sys.argv[1:])
    chosen = [mutant for mutant in MUTANTS if _is_chosen(mutant.name, mutant.expected, arguments.only)]
    if not chosen:
        print(f"No mutant is called or expects any of {', '.join(arguments.only)}: see the list without --only.")
        return 2
    began = time.monotonic()
    verdicts = try_all(chosen, report=lambda verdict: None if arguments.json else print(_row(verdict), flush=True))
    caught = sum(verdict.outcome == "caught" for verdict in verdicts)
    if arguments.json:
        print(
            json.dumps(
                {"caught": caught, "of": len(verdicts), "mutants": [asdict(each) for each in verdicts]}, indent=1
            )
        )
    else:
        print(f"{caught} of {len(verdicts)} caught in {time.monotonic() - began:.0f} s")
    return 0 if caught == len(verdicts) else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="perdure_mutants", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--only", nargs="+", default=[], metavar="WHICH", help="clauses, rules or parts of names")
    return parser.parse_args(arguments)


def _is_chosen(name: str, expected: str, only: Sequence[str]) -> bool:
    return not only or any(which == expected or which in name for which in only)


def _row(verdict: Verdict) -> str:
    found = verdict.caught_by if verdict.outcome == "caught" else f"!! {verdict.outcome} {verdict.how}"
    return f"{verdict.expected:<4} {verdict.mutant:<58} {found}"


if __name__ == "__main__":
    raise SystemExit(main())
