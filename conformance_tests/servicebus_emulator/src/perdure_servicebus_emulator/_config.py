"""Reads a configuration in the JSON shape of Microsoft's emulator. What is not imitated is refused, never ignored."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from perdure_servicebus_emulator._settings import Queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["ConfigError", "read_config"]

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_UNIT_SECONDS = (86_400, 3_600, 60, 1)
_WINDOW = "DuplicateDetectionHistoryTimeWindow"
_WINDOW_SECONDS = 600.0  # The service's default.
_FORWARDS = frozenset({"ForwardTo", "ForwardDeadLetteredMessagesTo"})


class ConfigError(ValueError):
    """The configuration is not one, or asks for what is not imitated. Do: change what the message names."""


def read_config(file: Path) -> list[Queue]:
    """Read a file's queues.

    Raises:
        ConfigError: It cannot be read; the message says where.
    """
    try:
        config: object = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{file}: {exc}") from exc
    namespaces = _list(_map(_map(config, "the file").get("UserConfig"), "UserConfig").get("Namespaces"), "Namespaces")
    if len(namespaces) != 1:
        raise ConfigError(f"Namespaces: there must be one, not {len(namespaces)}; start one emulator for each.")
    namespace = _map(namespaces[0], "a namespace")
    if namespace.get("Topics"):
        raise ConfigError("Topics: this emulator has queues only; leave them out.")
    return [_queue(_map(entry, "a queue")) for entry in _list(namespace.get("Queues", []), "Queues")]


def _queue(entry: dict[str, object]) -> Queue:
    name = entry.get("Name")
    if not isinstance(name, str):
        raise ConfigError(f"Name of a queue: must be text, not {name!r}.")
    properties = _map(entry.get("Properties", {}), f"Properties of {name!r}")
    settings: dict[str, Any] = {}
    for key, value in properties.items():
        where = f"{key} of queue {name!r}"
        if key in _FORWARDS:
            if value:
                raise ConfigError(f"{where}: messages are not forwarded here; leave it out or empty.")
        elif key not in _PROPERTIES:
            raise ConfigError(f"{where}: not known here; known are {', '.join(_PROPERTIES)}.")
        else:
            setting, read = _PROPERTIES[key]
            settings[setting] = read(value, where)
    window_seconds = settings.pop("duplicate_window_seconds", _WINDOW_SECONDS)
    if settings.pop("detects_duplicates", False):
        settings["duplicate_window_seconds"] = window_seconds
    try:
        return Queue(name, **settings)
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc


def _map(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: must be an object, not {value!r}.")
    return cast("dict[str, object]", value)


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: must be a list, not {value!r}.")
    return cast("list[object]", value)


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: must be true or false, not {value!r}.")
    return value


def _count(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{where}: must be a whole number, not {value!r}.")
    return value


def _mebibytes(value: object, where: str) -> int:
    return _count(value, where) * 2**20


def _seconds(value: object, where: str) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or not any(found.groups()):
        raise ConfigError(f'{where}: must be a duration of ISO 8601 in days or less, such as "PT1M", not {value!r}.')
    return sum(float(part) * unit for part, unit in zip(found.groups("0"), _UNIT_SECONDS, strict=True))


_PROPERTIES: dict[str, tuple[str, Callable[[object, str], object]]] = {
    "DeadLetteringOnMessageExpiration": ("dead_letter_on_expiration", _flag),
    "DefaultMessageTimeToLive": ("ttl_seconds", _seconds),
    _WINDOW: ("duplicate_window_seconds", _seconds),
    "LockDuration": ("lock_seconds", _seconds),
    "MaxDeliveryCount": ("deliveries_max", _count),
    "MaxSizeInMegabytes": ("size_bytes_max", _mebibytes),
    "RequiresDuplicateDetection": ("detects_duplicates", _flag),
    "RequiresSession": ("requires_session", _flag),
}
