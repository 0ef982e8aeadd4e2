"""Telling a verdict from an accident: a mutant that only stumbles over itself was not caught."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from perdure.errors import PerdureError
from perdure_mutants._plant import PLANTED

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Accidents", "first_line", "is_verdict"]

ANSWERS = (pytest.fail.Exception, PerdureError, TimeoutError)
"""What a wrong provider or worker makes a test meet, wherever it is raised."""

STUMBLES = (NameError, TypeError, AttributeError, ImportError, SyntaxError)


def is_verdict(error: BaseException) -> bool:
    """Tell whether a test failed because of what it looks at: it says so itself, or met an error of ours."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_verdict(each) for each in error.exceptions)
    if isinstance(error, STUMBLES):
        return False
    return isinstance(error, ANSWERS) or _is_a_tests(_last_file(error.__traceback__))


def first_line(error: BaseException) -> str:
    """Quote an error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:160]


def _last_file(trace: TracebackType | None) -> str:
    """Find where an error was raised; pytest's own parts, such as `raises`, stand for who asked them."""
    file = ""
    while trace is not None:
        this = trace.tb_frame.f_code.co_filename
        file = file if "/_pytest/" in this else this
        trace = trace.tb_next
    return file


def _is_a_tests(file: str) -> bool:
    return "/tests/" in file or "/perdure_conformance/" in file or "/perdure/testing/" in file


class Accidents(logging.Handler):
    """Collects what planted code stumbled over and a loop that must outlive everything has logged.

    Attributes:
        found: Quoted, in order.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one log record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, STUMBLES) and _last_file(error.__traceback__).startswith(PLANTED):
            self.found.append(first_line(error))
