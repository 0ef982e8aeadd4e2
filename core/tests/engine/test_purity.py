"""The engine decides from values alone: no clock, no chance, no world."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from perdure import engine

SOURCES = sorted(Path(engine.__file__).parent.glob("*.py"))
WORLD = {
    "asyncio",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "sys",
    "threading",
    "time",
    "uuid",
}
"""And `datetime`, whose `now` is a clock."""


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_module_of_the_engine_reaches_the_world(source: Path) -> None:
    tree = ast.parse(source.read_text("utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}

    assert not imported & (WORLD | {"datetime"})
    assert not called & {"open", "print", "input", "id", "hash", "eval", "exec"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.Global)]


def test_the_whole_engine_was_looked_at() -> None:
    assert {source.stem for source in SOURCES} >= {"_classify", "_legal", "_outbox", "_plan", "_state", "_timers"}
