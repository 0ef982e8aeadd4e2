"""Finding and merging the sources of settings: defaults, one file, the environment, arguments; later ones win."""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from perdure.config._location import anchor
from perdure.config._rows import env_var, value_of
from perdure.config._rules import Url
from perdure.config._settings import RULES, WORKER, Settings, WorkerSettings
from perdure.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Loaded", "explain_settings", "load_settings"]

DEFAULT = "default"
_ENV_KEYS = {env_var(key): key for key in RULES}
# Names this close to a setting are typing mistakes. Others are left alone: Kubernetes, for example, sets PERDURE_PORT
# and PERDURE_WORKER_SERVICE_HOST for services called perdure and perdure-worker.
_TYPO_CUTOFF = 0.8


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each value came from.

    Attributes:
        settings: The settings.
        origins: By dotted key: `default`, a file's path, an environment variable, or `argument`.
    """

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where values come from, and the folder that relative paths in them start from."""

    values: Mapping[str, object]
    origins: Mapping[str, str]
    folder: Path


def load_settings(
    *,
    hub: str | None = None,
    store: str | None = None,
    queue: str | None = None,
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Load the settings: defaults, overridden by a file, by the environment, by arguments.

    The file is the first `perdure.toml`, or `pyproject.toml` with a table `tool.perdure`, in `directory` or a folder
    above it; where a folder has both, `perdure.toml` is read. A relative path in a URL is relative to the file's
    folder, from elsewhere to `directory`; the URLs that come back are absolute. Naming a `hub` leaves the `store` and
    `queue` of weaker sources behind. An environment variable that is set to nothing counts as not set.

    Args:
        hub: URL of the hub.
        store: URL of the history store alone.
        queue: URL of the work queue alone.
        directory: Where the search begins; the working directory if None.
        environ: Environment variables; those of the process if None.

    Raises:
        Misuse: A file cannot be read, a key is unknown or a value is not allowed. The message names file and key, the
            nearest known key, and what is allowed.
    """
    return explain_settings(hub=hub, store=store, queue=queue, directory=directory, environ=environ).settings


def explain_settings(
    *,
    hub: str | None = None,
    store: str | None = None,
    queue: str | None = None,
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Load the settings and tell where each value came from; as `load_settings`."""
    start = (Path.cwd() if directory is None else directory).absolute()
    arguments = {"hub": hub, "store": store, "queue": queue}
    sources = (
        _Source({"hub": Settings().hub}, {}, start),
        _from_file(start),
        _from_environment(os.environ if environ is None else environ, start),
        _source({key: value for key, value in arguments.items() if value is not None}, "argument", start),
    )
    return _merge(sources)


# ── one source ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _source(values: Mapping[str, object], origin: str, folder: Path) -> _Source:
    return _Source(values, dict.fromkeys(values, origin), folder)


def _from_file(start: Path) -> _Source:
    for folder in (start, *start.parents):
        for file, table in _tables(folder):
            return _source(dict(_flatten(table, file)), str(file), folder)
    return _source({}, "", start)


def _tables(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    own, project = folder / "perdure.toml", folder / "pyproject.toml"
    if own.is_file():
        yield own, _read(own)
    elif project.is_file():
        tool = _as_table(_read(project).get("tool", {}), "tool", project)
        if "perdure" in tool:
            yield project, _as_table(tool["perdure"], "tool.perdure", project)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as problem:
        raise Misuse(f"{file} cannot be read ({problem.strerror}): give yourself the right, or remove it.") from problem
    except ValueError as problem:  # TOML or UTF-8 that is none
        raise Misuse(f"{file} is no valid TOML: {problem}. Mend it there.") from problem


def _flatten(table: dict[str, Any], file: Path) -> Iterator[tuple[str, object]]:
    """Turn the tables of a file into dotted keys, refusing what is unknown."""
    flat = {key: value for key, value in table.items() if key != WORKER}
    inner = _as_table(table.get(WORKER, {}), WORKER, file)
    for key, value in {**flat, **{f"{WORKER}.{name}": value for name, value in inner.items()}}.items():
        if key not in RULES:
            raise _unknown(key, file)
        yield key, value


def _as_table(value: object, name: str, file: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Misuse(f"{file}: {name} is {value!r:.80}: make it a table, that is, a line [{name}] with keys below it.")
    return cast("dict[str, Any]", value)


def _unknown(key: str, file: Path) -> Misuse:
    by_last_part = {known.rpartition(".")[2]: known for known in RULES}
    near = difflib.get_close_matches(key, [*RULES, WORKER], 1) or [
        by_last_part[name] for name in difflib.get_close_matches(key.rpartition(".")[2], by_last_part, 1)
    ]
    mend = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(RULES)}."
    return Misuse(f"{file}: there is no setting {key!r}; {mend} `perdure config` shows them all.")


def _from_environment(environ: Mapping[str, str], start: Path) -> _Source:
    values: dict[str, object] = {}
    for name, text in environ.items():
        if not name.startswith("PERDURE_") or not text:
            continue
        if name in _ENV_KEYS:
            values[_ENV_KEYS[name]] = RULES[_ENV_KEYS[name]].from_text(text)
        elif near := difflib.get_close_matches(name[8:], [known[8:] for known in _ENV_KEYS], 1, _TYPO_CUTOFF):
            raise Misuse(f"The environment variable {name} is no setting; did you mean PERDURE_{near[0]}?")
    return _Source(values, {key: env_var(key) for key in values}, start)


# ── all together ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _merge(sources: tuple[_Source, ...]) -> Loaded:
    values: dict[str, object] = {}
    origins = dict.fromkeys(RULES, DEFAULT)
    for source in sources:
        if "hub" in source.values:
            _begin_hub(source, values, origins)
        for key, value in source.values.items():
            values[key] = _checked(key, value, source)
        origins.update(source.origins)
    return Loaded(_settings(values), MappingProxyType(origins))


def _begin_hub(source: _Source, values: dict[str, object], origins: dict[str, str]) -> None:
    """Forget the store and queue of weaker sources: they belonged to another hub."""
    if "store" in source.values:
        raise Misuse(
            f"{_where('store', source)} and hub are both given, {source.values['store']!r} and "
            f"{source.values['hub']!r}: keep one. A hub is the store too; name the queue apart with `queue`."
        )
    for key in ("store", "queue"):
        values.pop(key, None)
        origins[key] = DEFAULT


def _checked(key: str, value: object, source: _Source) -> object:
    rule = RULES[key]
    checked = rule.check(value, _where(key, source))
    return anchor(checked, source.folder) if isinstance(rule, Url) and isinstance(checked, str) else checked


def _where(key: str, source: _Source) -> str:
    origin = source.origins.get(key, DEFAULT)
    return origin if origin.startswith("PERDURE_") else f"{origin}: {key}"


def _settings(values: Mapping[str, object]) -> Settings:
    defaults = Settings()
    checked: dict[str, Any] = {key: values.get(key, value_of(defaults, key)) for key in RULES}
    worker = {key.partition(".")[2]: value for key, value in checked.items() if "." in key}
    top = {key: value for key, value in checked.items() if "." not in key}
    return Settings(**top, worker=WorkerSettings(**worker))
