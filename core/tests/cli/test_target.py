"""From the words of a command line to code and data."""

from __future__ import annotations

import io
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from perdure.authoring import OrchestrationCall
from perdure.cli._list import parse_tags
from perdure.cli._target import call_with, definitions_of, find_orchestration, read_json
from perdure.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODULE = """
    import perdure

    @perdure.orchestration(name="the invoicing")
    async def invoicing(order: str, amount: int = 1) -> int:
        return amount

    @perdure.orchestration
    async def quiet() -> None: ...

    @perdure.activity
    def issue(order: str) -> None: ...

    def plain(): ...
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Give what writes a module into the working directory, which is not on sys.path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    written: list[str] = []

    def put(name: str, source: str) -> str:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), "utf-8")
        written.append(name)
        return name

    yield put
    for name in written:
        sys.modules.pop(name, None)


def test_an_orchestration_is_found_by_its_variable_and_by_its_recorded_name(write: Callable[[str, str], str]) -> None:
    module = write("found_by_name", MODULE)

    by_variable, definitions = find_orchestration(f"{module}:invoicing")
    by_name, _ = find_orchestration(f"{module}:the invoicing")

    assert by_variable is by_name
    assert [definition.name for definition in definitions] == ["the invoicing", "quiet", "issue"]


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("wanted:invoicin", "Module 'wanted' has no orchestration 'invoicin': write wanted:the invoicing."),
        ("wanted", "Name the orchestration too: write wanted:the invoicing or wanted:quiet."),
        ("wanted:issue", "wanted:issue is no orchestration: decorate it with @orchestration."),
        ("wanted:plain", "wanted:plain is no orchestration"),
        ("wanted.py:quiet", "'wanted.py' is a file: name the module, wanted,"),
        ("./sub/wanted.py", "'./sub/wanted.py' is a file: name the module, sub.wanted,"),
        ("wantd:quiet", "There is no module 'wantd' in "),
        ("empty:quiet", "Module 'empty' defines no orchestration: decorate one"),
        ("broken:quiet", "Module 'broken' cannot be imported: ZeroDivisionError: division by zero (-v shows where)."),
        ("needs:quiet", "Module 'needs' cannot be imported: ModuleNotFoundError: No module named 'nowhere_here'"),
        ("leaves:quiet", "Module 'leaves' cannot be imported: SystemExit: 3"),
        ("", "is no module name"),
        ("..x:quiet", "is no module name"),
    ],
)
def test_what_is_no_orchestration_is_refused_with_the_mend(
    write: Callable[[str, str], str], target: str, complaint: str
) -> None:
    write("wanted", MODULE)
    write("empty", "")
    write("broken", "1 / 0")
    write("needs", "import nowhere_here")
    write("leaves", "raise SystemExit(3)")

    with pytest.raises(Misuse) as refused:
        find_orchestration(target)

    assert complaint in str(refused.value)


def test_a_worker_takes_all_definitions_of_its_modules(write: Callable[[str, str], str]) -> None:
    module = write("all_of_it", MODULE)
    write("imports_it", "from all_of_it import issue\nimport perdure\n@perdure.activity\ndef more() -> None: ...\n")
    write("defines_nothing", "x = 1")

    assert [one.name for one in definitions_of([module, "imports_it"])] == [
        "the invoicing", "quiet", "issue", "issue", "more",
    ]  # fmt: skip
    with pytest.raises(Misuse, match="'defines_nothing' defines no activity and no orchestration"):
        definitions_of(["defines_nothing"])


def test_json_is_given_as_such_in_a_file_or_on_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("[3]"))
    (tmp_path / "order.json").write_text('{"é": 2}', "utf-8")

    assert read_json('{"a": 1}', what="--input") == {"a": 1}
    assert read_json("order.json", what="--input") == {"é": 2}
    assert read_json("-", what="--input") == [3]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ordr.json", "--input 'ordr.json' is no JSON (Expecting value: line 1 column 1 (char 0)) and no file that"),
        ("{'a': 1}", "is no JSON"),
        ("NaN", "NaN is not in JSON"),
        ("-", "--input: stdin is no JSON: Expecting value"),
        ("bad.json", "--input: bad.json is no JSON"),
        (".", "--input: . cannot be read"),
        ("latin.json", "--input: latin.json cannot be read"),
        ("x" * 5_000, "and no file that exists"),
        ("a\0b", "and no file that exists"),
        ("", "and no file that exists"),
    ],
)
def test_what_is_no_json_is_refused_by_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    (tmp_path / "bad.json").write_text("[1,", "utf-8")
    (tmp_path / "latin.json").write_bytes(b'"\xff"')

    with pytest.raises(Misuse) as refused:
        read_json(text, what="--input")

    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("text", "values"),
    [('"o-1"', ("o-1", 1)), ('{"order": "o-1", "amount": 3}', ("o-1", 3)), ('["o-1", 2]', ("o-1", 2))],
)
def test_input_becomes_arguments(write: Callable[[str, str], str], text: str, values: tuple[Any, ...]) -> None:
    definition, _ = find_orchestration(f"{write('with_input', MODULE)}:invoicing")

    call = call_with(definition, text)

    assert isinstance(call, OrchestrationCall)
    assert call.values == values
    call.close()


def test_without_input_there_are_no_arguments(write: Callable[[str, str], str]) -> None:
    module = write("no_input", MODULE)

    call_with(find_orchestration(f"{module}:quiet")[0], None).close()
    with pytest.raises(Misuse, match=r"missing 1 required positional argument: 'order': give --input"):
        call_with(find_orchestration(f"{module}:invoicing")[0], None)


def test_tags_are_names_with_values() -> None:
    assert parse_tags(("a=1", "b=x=y", "c=")) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(Misuse, match="--tag 'a': write name=value"):
        parse_tags(("a",))
