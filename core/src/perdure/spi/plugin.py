"""How a package offers backends: pluggy hooks, and what a factory is given.

A provider package names a module in its entry points, group `perdure`; functions of that module marked with
`@provider` are its hooks:

    [project.entry-points.perdure]
    mine = "perdure_mine"

    @perdure.spi.provider
    def perdure_stores() -> Mapping[str, StoreFactory]:
        return {"mine": MineStore}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi.administration import Administration
    from perdure.spi.clock import Clock, Entropy
    from perdure.spi.commit import Committer
    from perdure.spi.history import HistoryStore
    from perdure.spi.queue import WorkQueue

__all__ = [
    "AdministrationFactory",
    "Environment",
    "Hooks",
    "Location",
    "QueueFactory",
    "StoreFactory",
    "hook_spec",
    "provider",
]

PLUGIN_GROUP = "perdure"

hook_spec = pluggy.HookspecMarker(PLUGIN_GROUP)
provider = pluggy.HookimplMarker(PLUGIN_GROUP)


@dataclass(frozen=True, slots=True)
class Location:
    """A hub's URL, taken apart: `scheme:path?option=value`.

    Attributes:
        url: As it was given; never holds a secret.
        scheme: Lower case, without the colon.
        path: Everything between the scheme and the question mark, percent-decoded, without a leading `//`.
        options: The query part; a factory refuses the names it does not know and names the nearest.
    """

    url: str
    scheme: str
    path: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Environment:
    """The hub's clock and entropy: everything that a provider may know of time and chance."""

    clock: Clock
    entropy: Entropy


class StoreFactory(Protocol):
    """Makes stores."""

    def __call__(self, location: Location, environment: Environment) -> HistoryStore:
        """Make a store that is not opened yet: no I/O here. Options it does not know are `Misuse`."""
        ...


class QueueFactory(Protocol):
    """Makes queues."""

    def __call__(self, location: Location, environment: Environment) -> WorkQueue:
        """Make a queue that is not opened yet: no I/O here. Options it does not know are `Misuse`."""
        ...


class AdministrationFactory(Protocol):
    """Makes what sets up and examines a place."""

    def __call__(self, location: Location, environment: Environment) -> Administration:
        """Make one: no I/O here. Options it does not know are `Misuse`."""
        ...


class Hooks(Protocol):
    """What a plugin may implement, each optional."""

    @hook_spec
    def perdure_stores(self) -> Mapping[str, StoreFactory]:
        """Offer stores: scheme → factory."""
        ...

    @hook_spec
    def perdure_queues(self) -> Mapping[str, QueueFactory]:
        """Offer queues: scheme → factory."""
        ...

    @hook_spec
    def perdure_natural_queues(self) -> Mapping[str, str]:
        """Say which queue URL goes with a store's scheme where only a store is named.

        Values are templates: `{url}` is the store's own URL (a backend that is both), `{rest}` what follows its scheme
        and the colon (a queue that has the same place and options); everything else is literal.
        """
        ...

    @hook_spec
    def perdure_administrations(self) -> Mapping[str, AdministrationFactory]:
        """Offer what sets up and examines the place of a store or queue: scheme → factory."""
        ...

    @hook_spec
    def perdure_prices(self) -> Mapping[str, Mapping[str, float]]:
        """Say what requests cost: scheme → operation → USD per million, for the counts that are in its `requests`."""
        ...

    @hook_spec(firstresult=True)
    def perdure_committer(self, store: HistoryStore, queue: WorkQueue, environment: Environment) -> Committer | None:
        """Offer a committer for this pair, or None. Where nobody does, `OutboxCommitter` is used."""
        ...
