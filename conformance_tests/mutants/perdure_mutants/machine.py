"""Machine-made mutants of the providers: conditions turned round, and statements dropped.

`python -m perdure_mutants.machine memory --sample 64 --seed 1` tells how many the contracts kill, and lists the others.
They are planted as the hand-made ones are, function by function; no file is touched.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from perdure_mutants._mutant import ANY, Edit, Mutant, Verdict
from perdure_mutants._run import ROOT, try_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TARGETS", "Target", "mutants_of"]

SURVIVORS_MAX: Final = 0.1


class Target(NamedTuple):
    """What is mutated and what must notice.

    Attributes:
        folder: Of the modules.
        package: Their dotted name.
        options: The tests, and which of them, as arguments of pytest.
        seconds: How long the tests may take for one mutant; one that takes longer never ends.
    """

    folder: str
    package: str
    options: tuple[str, ...]
    seconds: float


TARGETS: Final = {
    "memory": Target(
        "core/src/perdure/memory", "perdure.memory", ("core/tests/spi/test_conformance_of_memory.py",), 300
    ),
    "sqlite": Target(
        "providers/local/src/perdure_local/sqlite",
        "perdure_local.sqlite",
        ("-k", "not SeveralProcesses", "-m", "not slow", "providers/local/tests/test_conformance.py"),
        600,
    ),
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    """Sample, try, and tell; 1 if more than a tenth survived."""
    arguments = _parse()
    target = TARGETS[arguments.target]
    every = [mutant for file in sorted((ROOT / target.folder).glob("*.py")) for mutant in mutants_of(file, target)]
    chosen = _chosen(every, arguments)
    began = time.monotonic()
    verdicts = [one for one in _try_in_parallel(chosen, target, arguments) if one.outcome != "misplaced"]
    survived = sum(verdict.outcome == "survived" for verdict in verdicts)
    print(
        f"{len(verdicts) - survived} of {len(verdicts)} killed in {time.monotonic() - began:.0f} s, "
        f"of {len(every)} that could be made (seed {arguments.seed})"
    )
    return int(survived > SURVIVORS_MAX * len(verdicts))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="perdure_mutants.machine", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--sample", type=int, default=64, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="COUNT", help="mutants tried at once; sqlite mostly waits"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="TEXT", help="those whose name holds it, and no sample"
    )
    parser.add_argument("--tests", nargs="+", default=[], metavar="FILE", help="these instead of the contracts")
    return parser.parse_args()


def _chosen(every: list[Mutant], arguments: argparse.Namespace) -> list[Mutant]:
    if arguments.only:
        return [mutant for mutant in every if any(text in mutant.name for text in arguments.only)]
    return random.Random(arguments.seed).sample(every, min(arguments.sample, len(every)))  # noqa: S311 - repeatable


def _try_in_parallel(chosen: list[Mutant], target: Target, arguments: argparse.Namespace) -> list[Verdict]:
    """Try mutants in as many processes as are asked for; each tells of those that it has done."""
    tests = ("-m", "not slow", *arguments.tests) if arguments.tests else target.options
    parts = [chosen[first :: arguments.jobs] for first in range(arguments.jobs)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        running = [pool.submit(try_on, part, tests, _tell, target.seconds) for part in parts]
        return [verdict for future in running for verdict in future.result()]


def _tell(verdict: Verdict) -> None:
    word = {"survived": "survived", "died": "endless", "misplaced": "left out"}.get(verdict.outcome, "killed")
    print(f"{word:<9}{verdict.seconds:5.1f} s  {verdict.mutant}  {verdict.caught_by}", flush=True)


def mutants_of(file: Path, target: Target) -> Iterator[Mutant]:
    """List every mutant that can be made of a module's functions and methods."""
    source = file.read_text(encoding="utf-8")
    for path, function in _functions_in(ast.parse(source), ""):
        text = _text_of(source, function)
        tree = ast.parse(text)
        for index, node in enumerate(ast.walk(tree)):
            change = _change_of(node)
            if change:
                line = function.lineno + getattr(node, "lineno", 1) - 1
                shown = " ".join(ast.unparse(node.test if isinstance(node, Asking) else node).split())[:80]
                edit = Edit(f"{target.package}.{file.stem}:{path}", text, _changed(tree, index))
                yield Mutant(f"{file.name}:{line} {change}: {shown}", ANY, "", (edit,), named=("test_",))


Asking = ast.If | ast.While | ast.IfExp


def _functions_in(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    """Find functions and methods; what closes over others goes with the function around it."""
    for node in getattr(tree, "body", ()):
        if isinstance(node, Function):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions_in(node, f"{prefix}{node.name}.")


def _text_of(source: str, function: Function) -> str:
    """Give a function's source without its decorators, as it stands in the file but for the margin."""
    lines = source.splitlines(keepends=True)[function.lineno - 1 : function.end_lineno]
    return textwrap.dedent("".join(lines))


def _change_of(node: ast.AST) -> str:
    if isinstance(node, Asking):
        return "" if isinstance(node.test, ast.Constant) else "turned round"
    is_said = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant | ast.Yield)
    return "dropped" if is_said or isinstance(node, ast.AugAssign | ast.Raise | ast.Delete) or _is_effect(node) else ""


def _is_effect(node: ast.AST) -> bool:
    """Tell whether a statement sets a part of something: dropping a plain name would only be a NameError."""
    return isinstance(node, ast.Assign) and all(
        isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets
    )


def _changed(tree: ast.Module, index: int) -> str:
    """Give the source with the change at one node of the tree, in the order of `ast.walk`."""
    tree = copy.deepcopy(tree)
    node = next(each for count, each in enumerate(ast.walk(tree)) if count == index)
    if isinstance(node, Asking):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    else:
        assert isinstance(node, ast.stmt)
        _drop(tree, node)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _drop(tree: ast.AST, statement: ast.stmt) -> None:
    for parent in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(parent, name, None)
            if isinstance(block, list) and statement in block:
                block[block.index(statement)] = ast.Pass()


if __name__ == "__main__":
    raise SystemExit(main())
