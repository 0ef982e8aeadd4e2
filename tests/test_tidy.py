"""The sizes that keep the sources readable, and no module that nobody imports.

Functions are measured in lines of code: blank lines, comments and docstrings are free. Files are measured whole.
"""

from __future__ import annotations

import ast
import gc
import io
import statistics
import tokenize
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SUITE = ROOT / "conformance_tests"
SOURCES = sorted(
    [ROOT / "core" / "src", *ROOT.glob("providers/*/src"), SUITE / "src", SUITE / "servicebus_emulator" / "src"]
)
PUBLIC = {"perdure.spi", "perdure.testing"}  # Imported by people, not by us.
SCRIPTS = {"perdure_conformance.emulators._guard"}  # Run by path.

FUNCTION_MEDIAN, FUNCTION_NINE_OF_TEN, FUNCTION_MOST = 8, 25, 70
FILE_MEDIAN, FILE_MOST = 150, 400


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """Keep finalizers out of `ast.parse`: before CPython 3.11.5, one that prints a traceback breaks the parser."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@dataclass(frozen=True, slots=True)
class Sized:
    """A function or a file, and how long it is."""

    where: str
    lines: int


def read_modules(folders: list[Path]) -> dict[str, Path]:
    """Map dotted module names to the files of source folders; a package goes by its own name."""
    found = {}
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def measure_files(modules: dict[str, Path]) -> list[Sized]:
    return [Sized(name, len(file.read_text("utf-8").splitlines())) for name, file in modules.items()]


def measure_functions(modules: dict[str, Path]) -> list[Sized]:
    sizes = []
    for name, file in modules.items():
        source = file.read_text("utf-8")
        tree = ast.parse(source)
        code = lines_of_code(source, tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                sizes.append(Sized(f"{name}.{node.name}", len(code.intersection(span))))
    return sizes


def lines_of_code(source: str, tree: ast.Module) -> set[int]:
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def too_long(sizes: list[Sized], *, median: int, most: int, nine_of_ten: int | None = None) -> list[str]:
    """Say in what way the sizes are over their limits; nothing when they are not."""
    lines = sorted(size.lines for size in sizes)
    longest = sorted(sizes, key=lambda size: -size.lines)
    complaints = [f"{size.where} has {size.lines} lines, {most} are allowed" for size in longest if size.lines > most]
    if lines and statistics.median(lines) > median:
        complaints.append(f"the median is {statistics.median(lines)} lines, {median} are allowed")
    over = [size for size in longest if nine_of_ten is not None and size.lines > nine_of_ten]
    if len(over) * 10 > len(lines):
        complaints.append(f"{len(over)} of {len(lines)} are over {nine_of_ten} lines: {[size.where for size in over]}")
    return complaints


def imported_names(name: str, file: Path) -> set[str]:
    """Every dotted name that a module's imports may load, at any depth of its code."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return names | {name.rpartition(".")[0] for name in names}


def entry_points(projects: list[Path]) -> set[str]:
    """Modules that a script or a plugin entry point of a distribution names."""
    targets: list[str] = []
    for project in projects:
        declared = tomllib.loads(project.read_text("utf-8"))["project"]
        for group in [declared.get("scripts", {}), *declared.get("entry-points", {}).values()]:
            targets.extend(group.values())
    return {target.partition(":")[0] for target in targets}


def nobody_imports(modules: dict[str, Path], reached_otherwise: set[str]) -> list[str]:
    """List modules that no other module imports and nothing else reaches."""
    wanted = set(reached_otherwise)
    for name, file in modules.items():
        wanted |= imported_names(name, file) - {name}
    # A top-level package is what a user imports; `python -m` is what runs __main__.
    return [name for name in modules if name not in wanted and "." in name and not name.endswith(".__main__")]


# ── the project ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_functions_are_short() -> None:
    sizes = measure_functions(read_modules(SOURCES))

    assert not too_long(sizes, median=FUNCTION_MEDIAN, nine_of_ten=FUNCTION_NINE_OF_TEN, most=FUNCTION_MOST)


def test_files_are_short() -> None:
    sizes = measure_files(read_modules(SOURCES))

    assert sizes
    assert not too_long(sizes, median=FILE_MEDIAN, most=FILE_MOST)


def test_every_module_is_imported_by_another() -> None:
    projects = [folder.parent / "pyproject.toml" for folder in SOURCES]

    assert not nobody_imports(read_modules(SOURCES), PUBLIC | SCRIPTS | entry_points(projects))


# ── these checks fail when they should ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A source folder that is wrong in each way that is looked for."""
    package = tmp_path / "sample"
    package.mkdir()
    (package / "__init__.py").write_text("from .used import long\n", "utf-8")
    (package / "used.py").write_text("def long():\n" + "    x = 1  # code\n" * 70, "utf-8")
    (package / "forgotten.py").write_text("from sample import forgotten, used\n", "utf-8")
    (package / "huge.py").write_text("# a comment\n" * 401, "utf-8")
    return tmp_path


def test_a_long_function_is_found(sample: Path) -> None:
    complaints = too_long(measure_functions(read_modules([sample])), median=8, nine_of_ten=25, most=70)

    assert complaints == [
        "sample.used.long has 71 lines, 70 are allowed",
        "the median is 71 lines, 8 are allowed",
        "1 of 1 are over 25 lines: ['sample.used.long']",
    ]


def test_a_long_file_is_found(sample: Path) -> None:
    complaints = too_long(measure_files(read_modules([sample])), median=150, most=400)

    assert complaints == ["sample.huge has 401 lines, 400 are allowed"]


def test_a_module_that_only_itself_imports_is_found(sample: Path) -> None:
    assert nobody_imports(read_modules([sample]), set()) == ["sample.forgotten", "sample.huge"]
    assert nobody_imports(read_modules([sample]), {"sample.huge"}) == ["sample.forgotten"]


def test_docstrings_comments_and_blank_lines_are_free(tmp_path: Path) -> None:
    source = 'def f():\n    """A\n    B\n    """\n\n    # why\n    return """x\n    y"""\n'
    (tmp_path / "one.py").write_text(source, "utf-8")

    assert measure_functions(read_modules([tmp_path])) == [Sized("one.f", 3)]
