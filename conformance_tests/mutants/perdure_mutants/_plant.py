"""Planting a mutant in the running process, and taking it out again.

A function keeps its identity and gets other code, so that it does not matter who has imported it already.
"""

from __future__ import annotations
import __future__

import ast
import functools
import importlib
import inspect
import textwrap
from contextlib import ExitStack, contextmanager
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

    from perdure_mutants._mutant import Edit, Mutant

__all__ = ["PLANTED", "MisplacedError", "planted"]

PLANTED: Final = "<mutant"
"""How the file name of planted code begins in a traceback."""


class MisplacedError(Exception):
    """A mutant does not fit the source any more: the message says which; mend the mutant."""


@contextmanager
def planted(mutant: Mutant) -> Generator[None]:
    """Have a mutant in place for a while.

    Raises:
        MisplacedError: What it changes is not there, or is there more than once.
    """
    edits: dict[str, list[Edit]] = {}
    with ExitStack() as stack:
        for plant in mutant.plants:
            edits.setdefault(plant.where, []).append(plant)
        for where, here in edits.items():
            stack.enter_context(_edited(mutant.name, where, here))
        yield


@contextmanager
def _edited(name: str, where: str, edits: list[Edit]) -> Generator[None]:
    function = _function_at(where)
    original = function.__code__
    function.__code__ = _changed_code(name, where, edits, function)
    try:
        yield
    finally:
        function.__code__ = original


def _owner_of(where: str) -> tuple[Any, str]:
    module, _, path = where.partition(":")
    *owners, name = path.split(".")
    return functools.reduce(getattr, owners, importlib.import_module(module)), name


def _function_at(where: str) -> FunctionType:
    owner, name = _owner_of(where)
    try:
        found = inspect.getattr_static(owner, name)
    except AttributeError:
        raise MisplacedError(f"{where}: there is no such function.") from None
    found = found.fget if isinstance(found, property) else found
    found = found.__func__ if isinstance(found, staticmethod | classmethod) else found
    found = inspect.unwrap(found) if callable(found) else found
    if not isinstance(found, FunctionType):
        raise MisplacedError(f"{where}: a {type(found).__name__} has no source to change.")
    return found


def _changed_code(name: str, where: str, edits: list[Edit], function: FunctionType) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    for edit in edits:
        if source.count(edit.old) != 1:
            raise MisplacedError(f"{where} holds {edit.old!r} {source.count(edit.old)} times, not once.")
        source = source.replace(edit.old, edit.new)
    tree = ast.parse(source)
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    definition.decorator_list = []
    tree.body = [_enclosed(definition, function.__code__.co_freevars)]
    flags = __future__.annotations.compiler_flag
    module = compile(tree, f"{PLANTED} {name}>", "exec", flags=flags, dont_inherit=True)
    return _code_in(module, definition.name, where)


def _enclosed(definition: ast.FunctionDef | ast.AsyncFunctionDef, free: tuple[str, ...]) -> ast.stmt:
    """Put a function into one that has the names it closes over, and have it close over them whatever was changed."""
    if not free:
        return definition
    around = ast.parse("def around():\n " + "; ".join(f"{name} = None" for name in free)).body[0]
    assert isinstance(around, ast.FunctionDef)
    definition.body += ast.parse("if False:\n " + "; ".join(free)).body
    around.body.append(definition)
    return around


def _code_in(module: CodeType, name: str, where: str) -> CodeType:
    around = [one for one in module.co_consts if isinstance(one, CodeType) and one.co_name == "around"]
    found = [one for one in (around or [module])[0].co_consts if isinstance(one, CodeType) and one.co_name == name]
    if len(found) != 1:
        raise MisplacedError(f"{where}: its source does not hold it once.")
    return found[0]
