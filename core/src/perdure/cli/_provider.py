"""`perdure provider new`: a package for a new backend, in which every promise is kept before a line is written."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perdure.cli._shell import App, Command
from perdure.errors import Misuse
from perdure.hub._plugins import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

__all__ = ["provider"]

SUITE, SUITE_DISTRIBUTION = "perdure_conformance", "perdure-conformance"
TEMPLATE, SUFFIX, DOT = "template", ".template", "dot-"

_NAME = re.compile(r"[a-z][a-z0-9]+(-[a-z0-9]+)*")

SECTIONS = {
    "Examples": (
        "perdure provider new redis",
        "perdure provider new redis --into ~/projects",
    ),
    "Then": (
        "cd perdure-redis && pip install -e . --group test && pytest",
        "The guide `Write a backend` goes on from there.",
    ),
}


@click.group(cls=App, sections={"Examples": ("perdure provider new redis",)})
def provider() -> None:
    """Begin a provider of your own."""


@provider.command(cls=Command, sections=SECTIONS)
@click.argument("name")
@click.option("--into", metavar="DIR", default=".", type=click.Path(path_type=Path), help="Where its folder is made.")
def new(*, name: str, into: Path) -> int:
    """Make a package for the backend NAME.

    It keeps everything in dicts, and passes the conformance suite: replace one half at a time.
    """
    words = names_of(name)
    folder = _empty(into / words["__DISTRIBUTION__"])
    for relative, content in _template():
        place = folder / _replaced(relative, words)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_replaced(content, words), "utf-8")
    click.echo(f"{folder}: pytest there runs the conformance suite on it.")
    return 0


def names_of(name: str) -> dict[str, str]:
    """Derive from a backend's name what its package, module and classes are called.

    Args:
        name: Lower-case words of letters and digits, with hyphens between them; `perdure-` before it is left out.

    Returns:
        What stands for what in the template.

    Raises:
        Misuse: It cannot be the scheme of a URL and the name of a module, or is taken.
    """
    scheme = name.removeprefix("perdure-")
    if not _NAME.fullmatch(scheme):
        raise Misuse(f"A backend's name is lower-case letters and digits with hyphens between, not {name!r}.")
    if scheme in PACKAGES:
        raise Misuse(f"{scheme}: is the scheme of {PACKAGES[scheme]}: choose another name.")
    return {
        "__NAME__": scheme,
        "__DISTRIBUTION__": f"perdure-{scheme}",
        "__MODULE__": f"perdure_{scheme.replace('-', '_')}",
        "__CLASS__": "".join(word.capitalize() for word in scheme.split("-")),
    }


def _empty(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()):
        raise Misuse(f"{folder} is there and not empty: choose another name or --into.")
    return folder


def _replaced(text: str, words: dict[str, str]) -> str:
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text


def _template() -> Iterator[tuple[str, str]]:
    """Read the template: paths, and what is in the files."""
    try:
        root = files(SUITE) / TEMPLATE
    except ModuleNotFoundError as missing:
        if missing.name != SUITE:
            raise
        raise Misuse(f"The template comes with the conformance suite: pip install {SUITE_DISTRIBUTION}") from missing
    yield from _files_in(root, "")


def _files_in(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        name = entry.name.replace(DOT, ".", 1) if entry.name.startswith(DOT) else entry.name
        if entry.is_dir():
            yield from _files_in(entry, f"{path}{name}/")
        elif name.endswith(SUFFIX):
            yield f"{path}{name.removesuffix(SUFFIX)}", entry.read_text("utf-8")
