"""The settings as a table: for `perdure config` and the reference pages."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.config._settings import RULES, WORKER, Settings, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SettingRow", "describe_settings", "env_var", "value_of"]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting.

    Attributes:
        key: As in a file; `worker.turns` is the key `turns` of the table `worker`.
        type: For people.
        allowed: What the value may be.
        default: As Python has it.
        meaning: What it does, from the docstring of its class.
        env_var: The environment variable that overrides files.
    """

    key: str
    type: str
    allowed: str
    default: object
    meaning: str
    env_var: str


def describe_settings() -> Iterator[SettingRow]:
    """Yield every setting, in the order of documentation."""
    defaults = Settings()
    meanings = {**_meanings(Settings, ""), **_meanings(WorkerSettings, f"{WORKER}.")}
    for key, rule in RULES.items():
        yield SettingRow(
            key=key,
            type=rule.type_name,
            allowed=rule.allowed,
            default=value_of(defaults, key),
            meaning=meanings.get(key, ""),  # Missing under `python -OO`, which strips docstrings.
            env_var=env_var(key),
        )


def env_var(key: str) -> str:
    """Name the environment variable of a key: `worker.turns` → `PERDURE_WORKER_TURNS`."""
    return "PERDURE_" + key.upper().replace(".", "_")


def value_of(settings: Settings, key: str) -> object:
    """Get the value of a dotted key."""
    table, dot, name = key.rpartition(".")
    value: object = getattr(getattr(settings, table) if dot else settings, name)
    return value


def _meanings(described: type[Settings | WorkerSettings], prefix: str) -> dict[str, str]:
    """Read what the docstring of a settings class says of each attribute."""
    names = "|".join(field.name for field in dataclasses.fields(described))
    _, _, attributes = (inspect.getdoc(described) or "").partition("Attributes:\n")
    found = re.finditer(rf"^ {{4}}({names}): (.*(?:\n {{8}}.*)*)", attributes, re.MULTILINE)
    return {prefix + match[1]: " ".join(match[2].split()) for match in found}
