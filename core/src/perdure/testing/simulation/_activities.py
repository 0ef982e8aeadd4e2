"""Activities as a simulation runs them: in the one thread, and writing down what they do."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from perdure.authoring import Activity, activity_info
from perdure.testing._oracles_hub import Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from perdure.authoring import Definition

__all__ = ["in_line"]


def in_line(definitions: Iterable[Definition], ledger: list[Effect]) -> tuple[Definition, ...]:
    """Give the same definitions, with plain functions called on the loop, and every attempt in a ledger.

    Args:
        definitions: As the user made them.
        ledger: Gets a line when an attempt begins, and one when it is done.
    """
    wrapped: dict[Callable[..., Any], Callable[..., Any]] = {}  # copies with other options share their function

    def one(definition: Definition) -> Definition:
        if not isinstance(definition, Activity):
            return definition
        fn = wrapped.setdefault(definition.fn, _noted(definition, ledger))
        return dataclasses.replace(definition, fn=fn)

    return tuple([one(definition) for definition in definitions])


def _noted(definition: Activity[..., Any], ledger: list[Effect]) -> Callable[..., Any]:
    function, is_async = definition.fn, definition.is_async

    @functools.wraps(function)
    async def noted(*args: Any, **kwargs: Any) -> Any:
        info = activity_info()
        ledger.append(Effect(info.idempotency_key, info.attempt, is_done=False))
        result = function(*args, **kwargs)
        value = await result if is_async else result
        ledger.append(Effect(info.idempotency_key, info.attempt, is_done=True))
        return value

    return noted
