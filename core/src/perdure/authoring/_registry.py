"""What a worker can run: activities and orchestrations by name."""

from __future__ import annotations

import difflib
import inspect
import re
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from perdure.authoring._activity import Activity
from perdure.authoring._code_version import code_version_of
from perdure.authoring._data import brief
from perdure.authoring._orchestration import Orchestration
from perdure.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Definition", "Registry", "collect"]

Definition = Activity[..., Any] | Orchestration[..., Any]

K = TypeVar("K")


class Registry:
    """A fixed set of definitions, found by name."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        """Take definitions; the same one twice counts once.

        Raises:
            Misuse: Something is no definition, or two different ones have one name (and version).
        """
        self._activities: dict[str, Activity[..., Any]] = {}
        self._orchestrations: dict[str, dict[str | None, Orchestration[..., Any]]] = {}
        for definition in definitions:
            match definition:
                case Activity():
                    _add(self._activities, definition.name, definition)
                case Orchestration():
                    _add(self._orchestrations.setdefault(definition.name, {}), definition.version, definition)
                case _:
                    raise Misuse(
                        f"{brief(definition)} is neither an activity nor an orchestration: decorate the function "
                        "with @activity or @orchestration."
                    )

    def activity(self, name: str) -> Activity[..., Any]:
        """Find an activity.

        Raises:
            Misuse: There is none of this name; the message names the nearest.
        """
        found = self.find_activity(name)
        if found is None:
            raise Misuse(f"No activity is named {name!r}{_nearest(name, self._activities)}.")
        return found

    def orchestration(self, name: str, version: str | None = None) -> Orchestration[..., Any]:
        """Find an orchestration.

        Args:
            name: Its name.
            version: Exactly this version; None means the newest. Numbers inside versions count as numbers, so "10" is
                newer than "9"; one without a version is the oldest.

        Raises:
            Misuse: There is none of this name or version; the message names the nearest, or the versions.
        """
        found = self.find_orchestration(name, version)
        if found is not None:
            return found
        if name not in self._orchestrations:
            raise Misuse(f"No orchestration is named {name!r}{_nearest(name, self._orchestrations)}.")
        known = ", ".join(repr(one) for one in sorted(self._orchestrations[name], key=_age))
        raise Misuse(f"Orchestration {name!r} has no version {version!r} here; there are: {known}.")

    def find_activity(self, name: str) -> Activity[..., Any] | None:
        """Find an activity, or None: another worker may know it."""
        return self._activities.get(name)

    def find_orchestration(self, name: str, version: str | None = None) -> Orchestration[..., Any] | None:
        """Find an orchestration, the newest if no version is given, or None: another worker may know it."""
        versions = self._orchestrations.get(name, {})
        if version is None and versions:
            return versions[max(versions, key=_age)]
        return versions.get(version)

    def names(self) -> tuple[str, ...]:
        """List the names of activities and orchestrations, sorted, each once."""
        return tuple(sorted({*self._activities, *self._orchestrations}))

    def activities(self) -> tuple[Activity[..., Any], ...]:
        """List the activities, sorted by name."""
        return tuple(self._activities[name] for name in sorted(self._activities))

    def orchestrations(self) -> tuple[Orchestration[..., Any], ...]:
        """List the orchestrations, sorted by name and then from the oldest to the newest version."""
        return tuple(
            self._orchestrations[name][version]
            for name in sorted(self._orchestrations)
            for version in sorted(self._orchestrations[name], key=_age)
        )

    @property
    def code_version(self) -> str:
        """12 hex digits that change when the code of an orchestration does; the same in every process."""
        return code_version_of((one.name, one.version or "", _function(one).__code__) for one in self.orchestrations())


def collect(module: ModuleType) -> list[Definition]:
    """Find the definitions that a module holds at its top level, imported ones too, in its order, each once."""
    return list({id(value): value for value in vars(module).values() if _is_definition(value)}.values())


def _is_definition(value: object) -> TypeGuard[Definition]:
    return isinstance(value, Activity | Orchestration)


def _add(known: dict[K, Any], key: K, definition: Definition) -> None:
    other = known.setdefault(key, definition)
    # A copy with other options is no other definition: what runs is the same function.
    if other.fn is not definition.fn:
        raise Misuse(
            f"Two definitions have one name: {other!r} and {definition!r}. Give one of them another name=, or an "
            "orchestration another version=."
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; the nearest is {near[0]!r}"
    return f"; there are: {brief(names)}" if names else "; there is none at all"


def _age(version: str | None) -> list[tuple[int, int, str]]:
    """Sort "9" before "10", and no version before any."""
    parts = [] if version is None else re.findall(r"\d+|\D+", version)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _function(definition: Definition) -> FunctionType:
    unwrapped: Callable[..., Any] = inspect.unwrap(definition.fn)
    assert isinstance(unwrapped, FunctionType)
    return unwrapped
