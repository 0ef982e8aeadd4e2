"""A short name for the code of orchestrations: it changes when their bytecode does.

It tells a worker with new code from one with the old, so that an instance that stalled is tried again. It is no proof
of equality: helpers in other functions do not count, and another Python minor compiles to other bytecode.
"""

from __future__ import annotations

import hashlib
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["code_version_of"]


def code_version_of(named: Iterable[tuple[str, str, CodeType]]) -> str:
    """Hash names, versions and code, in the order given, to 12 hex digits; the same in every process."""
    lines = (f"{name}\n{version}\n{_describe(code)}" for name, version, code in named)
    return hashlib.sha256("\n\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _describe(value: CodeType | tuple[Any, ...] | frozenset[Any] | bytes | str | complex | None) -> str:
    """Write a constant without what differs between processes: addresses, line numbers, the order of sets."""
    if isinstance(value, CodeType):
        parts: tuple[Any, ...] = (
            value.co_code,
            value.co_exceptiontable,
            value.co_names,
            value.co_freevars,
            value.co_consts,
        )
        return f"code({', '.join(map(_describe, parts))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_describe, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_describe, value)))}}}"
    return repr(value)
