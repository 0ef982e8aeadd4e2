"""From what is written on the command line to code and data: modules, orchestrations, JSON."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.authoring import Definition, Orchestration, collect, json_input
from perdure.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from perdure.replay import Call

__all__ = ["call_with", "definitions_of", "find_orchestration", "read_json"]


def definitions_of(modules: Iterable[str]) -> list[Definition]:
    """Import modules, from the working directory too, and collect what they define.

    Raises:
        Misuse: One cannot be imported, or defines nothing.
    """
    found: list[Definition] = []
    for name in modules:
        module = _load(name)
        here = collect(module)
        if not here:
            raise Misuse(f"Module {name!r} defines no activity and no orchestration: decorate its functions.")
        found += here
    return found


def find_orchestration(target: str) -> tuple[Orchestration[..., Any], list[Definition]]:
    """Find `module:orchestration`, by the name of the variable or the recorded name.

    Returns:
        The orchestration, and everything that its module defines.

    Raises:
        Misuse: There is none; the message names the nearest.
    """
    module_name, _, name = target.partition(":")
    module = _load(module_name)
    definitions = collect(module)
    here = [one for one in definitions if isinstance(one, Orchestration)]
    value: object = getattr(module, name, None) if name else None
    for found in here:
        if found is value or found.name == name:
            return found, definitions
    if value is not None:
        raise Misuse(f"{target} is no orchestration: decorate it with @orchestration.")
    raise Misuse(_no_orchestration(module_name, name, [one.name for one in here]))


def _no_orchestration(module: str, name: str, known: list[str]) -> str:
    if not known:
        return f"Module {module!r} defines no orchestration: decorate one with @orchestration."
    near = difflib.get_close_matches(name, known, 1) or known
    missing = f"Module {module!r} has no orchestration {name!r}" if name else "Name the orchestration too"
    return f"{missing}: write {' or '.join(f'{module}:{one}' for one in near[:5])}."


def _load(name: str) -> ModuleType:
    if name.endswith(".py") or "/" in name or os.sep in name:
        dotted = name.removesuffix(".py").strip("./").replace("/", ".").replace(os.sep, ".")
        raise Misuse(f"{name!r} is a file: name the module, {dotted}, from the folder that it is found in.")
    if not all(part.isidentifier() for part in name.split(".")):
        raise Misuse(f"{name!r} is no module name: write it as in Python's import, for example shop or shop.orders.")
    here = str(Path.cwd())
    if "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and (name == missing.name or name.startswith(f"{missing.name}.")):
            raise Misuse(f"There is no module {missing.name!r} in {here} nor installed.") from missing
        raise _unimportable(name, missing) from missing
    except (Exception, SystemExit) as problem:
        raise _unimportable(name, problem) from problem


def _unimportable(name: str, problem: BaseException) -> Misuse:
    return Misuse(f"Module {name!r} cannot be imported: {type(problem).__name__}: {problem} (-v shows where).")


def read_json(text: str, *, what: str) -> Any:
    """Read JSON that is given as such, as `-` for stdin, or as the name of a file.

    Raises:
        Misuse: It is none of these; the message begins with `what`.
    """
    if text == "-":
        return _parse(sys.stdin.read(), f"{what}: stdin")
    try:
        return _loads(text)
    except ValueError as problem:
        file = Path(text)
        if not text or not _exists(file):
            raise Misuse(f"{what} {text!r:.80} is no JSON ({problem}) and no file that exists.") from problem
    try:
        content = file.read_text("utf-8")
    except (OSError, UnicodeError) as problem:
        raise Misuse(f"{what}: {file} cannot be read: {problem}.") from problem
    return _parse(content, f"{what}: {file}")


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):  # too long for a name, or holds a NUL
        return False


def _parse(text: str, what: str) -> Any:
    try:
        return _loads(text)
    except ValueError as problem:
        raise Misuse(f"{what} is no JSON: {problem}.") from problem


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not in JSON")


def call_with(definition: Orchestration[..., Any], text: str | None) -> Call[Any]:
    """Make the call of an orchestration from --input; None gives no arguments.

    Raises:
        Misuse: The input does not fit the parameters.
    """
    if text is None:
        try:
            return definition()
        except TypeError as problem:
            raise Misuse(f"{problem}: give --input, a JSON file, - for stdin, or JSON itself.") from problem
    args, kwargs = definition.signature.decode(json_input(definition, read_json(text, what="--input")))
    return definition(*args, **kwargs)
