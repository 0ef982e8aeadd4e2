"""Exceptions that travel: which classes a definition declares, and how a failure becomes one of them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.errors import Failure, Misuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["check_raises", "restore", "type_name_of"]


def check_raises(raises: Iterable[object], *, where: str) -> tuple[type[Exception], ...]:
    """Check a `raises=[…]` option.

    Raises:
        Misuse: Something in it is no exception class that can be made again from a message.
    """
    classes: list[type[Exception]] = []
    for class_ in raises:
        if not (isinstance(class_, type) and issubclass(class_, Exception)):
            raise Misuse(f"{where}: raises=[…] takes exception classes, not {class_!r}.")
        if issubclass(class_, ExceptionGroup):
            raise Misuse(
                f"{where}: {class_.__qualname__} in raises=[…] cannot be made again from its message. Declare the "
                "exceptions that it holds, or look at the `failure.members` of the error."
            )
        classes.append(class_)
    return tuple(classes)


def restore(error: Exception, failure: Failure, declared: tuple[type[Exception], ...]) -> Exception:
    """Give the exception that awaiting code gets.

    Args:
        error: What it gets if the failure is none of the declared classes, and the cause otherwise.
        failure: What was recorded.
        declared: Classes that are raised as themselves, their loaded subclasses included.
    """
    for class_ in _families(declared):
        if type_name_of(class_) == failure.type:
            restored = _remade(class_, failure.message)
            restored.__cause__ = error
            return restored
    return error


def type_name_of(class_: type) -> str:
    """Name a class as `Failure.type` does."""
    return class_.__qualname__ if class_.__module__ == "builtins" else f"{class_.__module__}.{class_.__qualname__}"


def _families(classes: Iterable[type[Exception]]) -> Iterator[type[Exception]]:
    for class_ in classes:
        yield class_
        yield from _families(class_.__subclasses__())


def _remade(class_: type[Exception], message: str) -> Exception:
    try:
        made = class_(message)
        if str(made) == message:
            return made
    except (TypeError, ValueError, LookupError, AttributeError):
        # Its constructor wants something else than a message, which is all that was recorded.
        pass
    return class_.__new__(class_, message)
