"""Sphinx extension: read docstrings as this project writes them.

- Numbered clauses (`H1  An append ...`, continued on indented lines) become paragraphs of their own.
- `Returns:` holds a sentence, never `type: text`; a colon in it is a colon.
- A type in a signature becomes a link where the reference shows it, under whatever path the code imported it by. What
  a person wrote as a reference is left alone: it must lead somewhere, or the build fails.
- A name that both application code and providers import is described once, with `perdure`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import perdure

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

CLAUSE = re.compile(r"(?P<number>[A-Z]{1,2}\d+)\s+(?P<text>\S.*)")
SHOWN_UNDER = ("perdure", "perdure.spi")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, ahead of napoleon, which turns sections into field lists."""
    app.connect("autodoc-process-docstring", rewrite, priority=100)
    app.connect("autodoc-skip-member", skip_known)
    app.connect("missing-reference", link_type)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def rewrite(_app: Sphinx, what: str, _name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Rewrite one docstring in place."""
    lines[:] = clauses_as_paragraphs(lines)
    if what in {"attribute", "data", "property"} and lines and ":" in lines[0]:
        lines[0] = f": {lines[0]}"  # napoleon takes what stands before the first colon for a type.
    for index, line in enumerate(lines[:-1]):
        if line.strip() in {"Returns:", "Yields:"}:
            text = lines[index + 1]
            indent = len(text) - len(text.lstrip())
            lines[index + 1] = f"{text[:indent]}: {text[indent:]}"


def clauses_as_paragraphs(lines: list[str]) -> list[str]:
    """Give each numbered clause a paragraph: one line, the number in bold."""
    result: list[str] = []
    in_clauses = False
    for line in lines:
        if clause := CLAUSE.fullmatch(line):
            result += ["", f"**{clause['number']}** {clause['text']}"]
            in_clauses = True
        elif in_clauses and line.startswith(" "):
            result[-1] += f" {line.strip()}"
        else:
            result += ["", line] if in_clauses else [line]
            in_clauses = False
    return result


def skip_known(app: Sphinx, what: str, name: str, value: object, _skip: object, _options: object) -> bool | None:
    """Leave out of other pages what the page of `perdure` shows.

    Returns:
        True to leave it out, None to let autodoc decide.
    """
    elsewhere = what == "module" and app.env.docname != "reference/perdure"
    public = getattr(perdure, "__all__", ())
    return True if elsewhere and name in public and getattr(perdure, name) is value else None


def link_type(_app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement) -> Any:
    """Find the page of a type that a signature names; one that has no page stays plain text.

    Returns:
        A link, the text as it is, or None for a reference that a person wrote.
    """
    if node.get("refdomain") != "py" or "refwarn" in node:  # (Only a role sets it.)
        return None
    python, name = env.domains.python_domain, node["reftarget"].rpartition(".")[2]
    for module in SHOWN_UNDER:
        if f"{module}.{name}" in python.objects:
            target = f"{module}.{name}"
            return python.resolve_xref(env, node["refdoc"], env.app.builder, "obj", target, node, shown)
    return shown
