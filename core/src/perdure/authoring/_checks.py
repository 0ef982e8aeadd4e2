"""What may be decorated, and what its options may be."""

from __future__ import annotations

import enum
import functools
import inspect
import math
from types import FunctionType
from typing import Any

from perdure.authoring._data import brief
from perdure.authoring._retry import Retry
from perdure.errors import Misuse
from perdure.ids import check_name

__all__ = ["KEEP", "Keep", "check_function", "check_retry", "check_timeout", "checked_name", "location_of", "look_of"]


class Keep(enum.Enum):
    """Says of an option: as it was."""

    KEEP = enum.auto()


KEEP = Keep.KEEP


def check_function(fn: Any, *, decorator: str) -> FunctionType:
    """Refuse what cannot be called again in another process as a plain function.

    Raises:
        Misuse: The message says what was given and what to write instead.
    """
    if type(fn) in {staticmethod, classmethod}:
        raise Misuse(f"{decorator} below @{type(fn).__name__}: put it above, or use a function of the module.")
    if isinstance(fn, type):
        raise Misuse(f"{decorator} on the class {fn.__qualname__}: decorate a function that makes and uses one.")
    if not isinstance(fn, FunctionType):
        raise Misuse(f"{decorator} on {brief(fn)}, which is no Python function: wrap it in a `def` and decorate that.")
    where = f"{decorator} on {fn.__qualname__} ({location_of(fn)})"
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise Misuse(f"{where}: it yields. Return one value, for example a list, or make one call per item.")
    _refuse_method(fn, where)
    return fn


def _refuse_method(fn: FunctionType, where: str) -> None:
    first = next(iter(inspect.signature(fn).parameters), "")
    in_class = "." in fn.__qualname__.rpartition("<locals>.")[2]
    if in_class and first in {"self", "cls"}:
        raise Misuse(
            f"{where}: a method's {first!r} cannot be recorded. Use a function of the module that takes what it "
            "needs as arguments and finds or makes its object itself."
        )


def checked_name(fn: FunctionType, name: str | None, *, what: str) -> str:
    """Give the name under which a function is recorded.

    Raises:
        Misuse: There is none, or it holds what a name may not.
    """
    if name is None and fn.__name__ == "<lambda>":
        raise Misuse(f"The lambda at {location_of(fn)} has no name to be recorded under: use `def`, or give name=.")
    return check_name(fn.__name__ if name is None else name, what=what)


def check_timeout(timeout: Any, *, where: str) -> float:
    """Check a timeout in seconds; 0 means none.

    Raises:
        Misuse: It is no number, negative or not finite.
    """
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not math.isfinite(timeout) or timeout < 0:
        raise Misuse(f"{where}: timeout={timeout!r}: give seconds, more than 0, or 0 for none.")
    return float(timeout)


def check_retry(retry: Any, *, where: str) -> Retry | None:
    """Check a retry option.

    Raises:
        Misuse: It is neither a `Retry` nor None.
    """
    if retry is not None and not isinstance(retry, Retry):
        raise Misuse(f"{where}: retry={retry!r}: give a Retry, for example Retry(attempts=5), or None.")
    return retry


def location_of(fn: FunctionType) -> str:
    """Say where a function is defined, as `file:line`."""
    source = inspect.unwrap(fn)
    code = source.__code__ if isinstance(source, FunctionType) else fn.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def look_of(fn: Any) -> dict[str, Any]:
    """Give the attributes by which a definition shows its function's name, signature and docstring."""
    shown = {name: getattr(fn, name) for name in functools.WRAPPER_ASSIGNMENTS if hasattr(fn, name)}
    return shown | {"__wrapped__": fn}
