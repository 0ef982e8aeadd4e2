"""A harness for two URLs: `{unique}` in them becomes something new for each test, so that each finds an empty hub."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.config import parse_location

# Core finds plugins in one place; what it does there is not part of any public interface yet.
from perdure.hub import find_committer, find_queue, find_store, natural_queue
from perdure.spi import Environment, Location, Misuse
from perdure.testing import ManualClock
from perdure_conformance.harness import Addresses, Harness

if TYPE_CHECKING:
    from perdure.spi import Committer, HistoryStore, WorkQueue

__all__ = ["UNIQUE", "harness_of", "queue_of", "template_of"]

UNIQUE = "{unique}"
FOLDERS = ("sqlite", "file")
MOMENTS_SECONDS = {"memory": 0.05, "sqlite": 0.2, "file": 0.2}
USUAL_MOMENT_SECONDS = 1.0


def template_of(url: str) -> str:
    """Make a URL that is another hub for each test.

    Args:
        url: `memory:` and those of folders may be as they are: a name or a subfolder is added, and a folder that is not
            named is a temporary one. Others say where the unique part goes: `s3://bucket/{unique}`.

    Returns:
        The URL with `{unique}` in it.

    Raises:
        Misuse: It is no URL, or nobody can tell where the unique part goes.
    """
    location = parse_location(url)
    if UNIQUE in url:
        return url
    if location.scheme == "memory" or (location.scheme in FOLDERS and not location.path):
        return f"{location.scheme}:{UNIQUE}"
    if location.scheme in FOLDERS:
        head, question, options = url.partition("?")
        return f"{head.rstrip('/')}/{UNIQUE}{question}{options}"
    raise Misuse(
        f"{url} is one place, and each test needs an empty one: write {UNIQUE} where its name may differ, "
        f"for example {url.rstrip('/')}/{UNIQUE}."
    )


def queue_of(store: str) -> str:
    """Find the queue that goes with a store that is named alone.

    Raises:
        Misuse: None does; name one.
    """
    return natural_queue(parse_location(store), store)


def harness_of(store: str, queue: str, *, moment_seconds: float | None = None) -> type[Harness]:
    """Make a harness class for two URLs.

    Args:
        store: With `{unique}` in it, as `template_of` makes them.
        queue: Likewise; each test puts the same unique part into both.
        moment_seconds: `Harness.moment`; None for what is usual for these URLs.

    Raises:
        Misuse: No installed provider offers one of them.
    """
    schemes = [parse_location(url).scheme for url in (store, queue)]
    find_store(parse_location(store))
    find_queue(parse_location(queue))
    usual = max(MOMENTS_SECONDS.get(scheme, USUAL_MOMENT_SECONDS) for scheme in schemes)
    in_memory = set(schemes) == {"memory"}
    content = {
        "templates": (store, queue),
        "moment": usual if moment_seconds is None else moment_seconds,
        "time_is_virtual": in_memory,
        "__module__": __name__,
    }
    name = schemes[0] if schemes[0] == schemes[1] else f"{schemes[0]}+{schemes[1]}"
    return type(name, (_VirtualUrlHarness if in_memory else _UrlHarness,), content)


class _UrlHarness(Harness):
    """Clients of two URLs, through the installed plugins."""

    templates: tuple[str, str]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        unique = f"conformance-{secrets.token_hex(8)}"
        self._store, self._queue = (self._location_of(template, unique) for template in self.templates)

    def make_store(self) -> HistoryStore:
        return find_store(self._store)(self._store, self.environment)

    def make_queue(self) -> WorkQueue:
        return find_queue(self._queue)(self._queue, self.environment)

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        return find_committer(store, queue, self.environment)

    def addresses(self) -> Addresses | None:
        """Other processes reach everything but what is in the memory of this one."""
        if "memory" in {self._store.scheme, self._queue.scheme}:
            return None
        return Addresses(store=self._store.url, queue=self._queue.url)

    async def stop(self) -> None:
        """Delete the folders; what services hold is theirs to expire."""
        for folder in {location.path for location in (self._store, self._queue) if location.scheme in FOLDERS}:
            _delete(Path(folder))

    def _location_of(self, template: str, unique: str) -> Location:
        is_temporary = parse_location(template).path == UNIQUE and parse_location(template).scheme in FOLDERS
        return parse_location(template.replace(UNIQUE, str(self.folder) if is_temporary else unique))


def _delete(folder: Path) -> None:
    if folder.exists():  # No client was opened, or another one was here first.
        shutil.rmtree(folder)


class _VirtualUrlHarness(_UrlHarness):
    """The same, where everything goes by the clock of the environment."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = ManualClock()
        self.environment = Environment(clock=self.clock, entropy=self.environment.entropy)

    async def let_time_pass(self, seconds: float) -> None:
        await self.clock.advance(seconds)
