"""What can be changed in a function by machine: a condition turned round, or a statement dropped."""

from __future__ import annotations

import ast
import copy
import hashlib
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure_mutants._mutant import Edit, Mutant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Change", "changes_of"]

LOGGERS = ("_log", "_logger", "logger", "logging")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Asking = ast.If | ast.While | ast.IfExp
Leaving = ast.Return | ast.Continue | ast.Break | ast.Raise


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a module.

    Attributes:
        mutant: Its name says where and what.
        file: Of the module.
        lines: Whoever runs none of these cannot notice.
        digest: The same as long as the function and the change are.
    """

    mutant: Mutant
    file: Path
    lines: range
    digest: str


def changes_of(file: Path, module: str) -> Iterator[Change]:
    """List every change that can be made to a module's functions and methods.

    Args:
        file: The module's source.
        module: Its dotted name.
    """
    source = file.read_text(encoding="utf-8")
    for path, function in _functions_in(ast.parse(source), ""):
        text = _text_of(source, function)
        tree = ast.parse(text)
        for index, node in enumerate(ast.walk(tree)):
            kind = _kind_of(node)
            if kind:
                where, first = _part_of(node), function.lineno - 1
                name = f"{file.name}:{first + where.lineno} {kind}: {' '.join(ast.unparse(where).split())[:80]}"
                edit = Edit(f"{module}:{path}", text, _changed(tree, index))
                lines = range(first + where.lineno, first + (where.end_lineno or where.lineno) + 1)
                digest = hashlib.sha256(f"{edit.where}\n{edit.new}".encode()).hexdigest()[:16]
                yield Change(Mutant(name, "any", "", (edit,)), file, lines, digest)


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


def _kind_of(node: ast.AST) -> str:
    """Say what can be done to a node of the tree; empty if nothing."""
    if isinstance(node, Asking):
        return "" if isinstance(node.test, ast.Constant) else "turned round"
    if isinstance(node, ast.comprehension):
        return "turned round" if node.ifs else ""
    is_dropped = isinstance(node, ast.AugAssign | Leaving) or _is_said(node) or _is_effect(node)
    return "dropped" if is_dropped else ""


def _is_said(node: ast.AST) -> bool:
    """Tell whether a statement is a call of something; docstrings and what is only logged are not."""
    if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Constant | ast.Yield):
        return False
    return not ast.unparse(node).startswith(tuple(f"{name}." for name in LOGGERS))


def _is_effect(node: ast.AST) -> bool:
    """Tell whether a statement sets or deletes a part of something: dropping a plain name's would be a NameError."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return all(isinstance(each, ast.Attribute | ast.Subscript) for each in targets)
        case ast.AnnAssign(target=target, value=value):
            return value is not None and isinstance(target, ast.Attribute | ast.Subscript)
        case _:
            return False


def _part_of(node: ast.AST) -> ast.expr | ast.stmt:
    """Give the part of a node that stands for it in the name and in the lines."""
    if isinstance(node, Asking):
        return node.test
    if isinstance(node, ast.comprehension):
        return node.ifs[0]
    assert isinstance(node, ast.stmt)
    return node


def _changed(tree: ast.Module, index: int) -> str:
    """Give the source with the change at one node of the tree, in the order of `ast.walk`."""
    tree = copy.deepcopy(tree)
    node = next(each for count, each in enumerate(ast.walk(tree)) if count == index)
    if isinstance(node, Asking):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.comprehension):
        asked = ast.BoolOp(ast.And(), node.ifs) if len(node.ifs) > 1 else node.ifs[0]
        node.ifs = [ast.UnaryOp(ast.Not(), asked)]
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
