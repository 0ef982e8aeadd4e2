"""Which line of the user's code asked: for messages only, nothing is decided by it."""

from __future__ import annotations

import sys
import types
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType, FrameType

__all__ = ["asking_line", "caller_outside", "line_number", "line_of", "suspended_line"]

_LIBRARY = types.__file__.rpartition("types")[0]
_NO_LINE = "(no line of user code)"


def asking_line() -> tuple[str, bool]:
    """Find the line that is running: the innermost one of the user's own code, else of whoever called perdure.

    Returns:
        The line, and whether it is the user's own, not an installed library's.
    """
    fallback: FrameType | None = None
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None and not _is_driver(frame):
        if not _is_machinery(frame):
            if not _is_installed(frame.f_code.co_filename):
                return _show(frame.f_code, frame.f_lineno), True
            fallback = fallback or frame
        frame = frame.f_back
    return (_show(fallback.f_code, fallback.f_lineno) if fallback else _NO_LINE), False


def caller_outside(frame: FrameType) -> FrameType:
    """Find the nearest frame, outwards from `frame`, that is not perdure's own. Cheap: made for every call."""
    outer: FrameType | None = frame
    while outer is not None:
        frame = outer
        if not frame.f_globals.get("__name__", "").startswith("perdure."):
            break
        outer = frame.f_back
    return frame


def line_of(code: CodeType, instruction: int) -> str:
    """Show the line of an instruction (`f_lasti`) that was remembered instead of a frame."""
    return _show(code, line_number(code, instruction))


def line_number(code: CodeType, instruction: int) -> int:
    """Find the line of an instruction. Slow: only when there is something to say."""
    position = next(islice(code.co_positions(), instruction // 2, None), (None,))
    return position[0] or code.co_firstlineno


def suspended_line(coroutine: Any) -> str:
    """Find the line at which a suspended coroutine waits: the innermost one of the user's own code, as above."""
    found, is_users = _NO_LINE, False
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and not _is_machinery(frame):
            is_own = not _is_installed(frame.f_code.co_filename)
            if is_own or not is_users:
                found, is_users = _show(frame.f_code, frame.f_lineno), is_own
        coroutine = getattr(coroutine, "cr_await", None)
    return found


def _show(code: CodeType, line: int) -> str:
    return f"{code.co_filename}:{line} in {code.co_name}"


def _module(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name


def _is_driver(frame: FrameType) -> bool:
    """Beyond the frame that steps the loop or feeds an input is the worker, which asked for nothing."""
    module = _module(frame)
    is_step = module == "perdure.replay._driver" and frame.f_code.co_name == "_run_handle"
    return is_step or module == "perdure.replay._execution"


def _is_machinery(frame: FrameType) -> bool:
    return _module(frame).startswith(("perdure.", "asyncio."))


def _is_installed(filename: str) -> bool:
    return filename.startswith(_LIBRARY) or "site-packages" in filename or "dist-packages" in filename
