"""Finding providers: a URL's scheme names an entry point, and only that one's module is imported.

An entry point of the group `perdure` is called by the scheme that its module offers, so several may name one module. A
scheme that no entry point is called by is looked for in all of them; only then is everything imported.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pluggy

from perdure.config import parse_location
from perdure.errors import Misuse, PerdureError
from perdure.spi import (
    PLUGIN_GROUP,
    Environment,
    Hooks,
    OutboxCommitter,
    QueueCapabilities,
    StoreCapabilities,
    SystemClock,
    SystemEntropy,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from perdure.spi import (
        AdministrationFactory,
        Committer,
        HistoryStore,
        Location,
        QueueFactory,
        StoreFactory,
        WorkQueue,
    )

__all__ = [
    "ProviderInfo",
    "ProviderProblem",
    "find_administrations",
    "find_committer",
    "find_prices",
    "find_queue",
    "find_store",
    "installed_providers",
    "natural_queue",
]

PACKAGES = {
    "memory": "perdure-core",
    "sqlite": "perdure-local",
    "file": "perdure-local",
    "s3": "perdure-aws",
    "sqs": "perdure-aws",
    "azblob": "perdure-azure",
    "servicebus": "perdure-azure",
}
"""Which distribution to install for a scheme that is missing."""

STORES, QUEUES, NATURAL_QUEUES = "perdure_stores", "perdure_queues", "perdure_natural_queues"
ADMINISTRATIONS, PRICES = "perdure_administrations", "perdure_prices"
_KINDS = {STORES: "store", QUEUES: "queue"}
_HOOKS = (*_KINDS, NATURAL_QUEUES, ADMINISTRATIONS, PRICES)


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """One store or queue that is installed.

    Attributes:
        scheme: What its URLs begin with.
        kind: `store` or `queue`.
        distribution: The package that it came with.
        version: Of that package.
        capabilities: A store's, or a queue's by class of queue; None where they depend on the URL.
    """

    scheme: str
    kind: str
    distribution: str
    version: str
    capabilities: StoreCapabilities | Mapping[str, QueueCapabilities] | None


@dataclass(frozen=True, slots=True)
class ProviderProblem:
    """A plugin that cannot be used, and why."""

    distribution: str
    problem: str


def find_store(location: Location) -> StoreFactory:
    """Find what makes the history store of a URL.

    Raises:
        Misuse: No provider offers it; the message says what to install, or names the two that both do.
    """
    factory: StoreFactory = _installed().find(STORES, location.scheme)
    return factory


def find_queue(location: Location) -> QueueFactory:
    """Find what makes the work queue of a URL.

    Raises:
        Misuse: As `find_store`.
    """
    factory: QueueFactory = _installed().find(QUEUES, location.scheme)
    return factory


def natural_queue(store_location: Location, url: str) -> str:
    """Say which queue goes with a store that is named alone.

    Args:
        store_location: The store's URL, taken apart.
        url: The store's URL.

    Raises:
        Misuse: No queue naturally goes with it; name one.
    """
    template: str = _installed().find(NATURAL_QUEUES, store_location.scheme)
    return template.replace("{url}", url).replace("{rest}", url.partition(":")[2])


def find_administrations(store: Location, queue: Location) -> list[tuple[Location, AdministrationFactory]]:
    """Find what sets up and examines the places of a store and its queue, with the place of each.

    Raises:
        Misuse: As `find_store`.
    """
    places = {(STORES, store.scheme): store, (QUEUES, queue.scheme): queue}
    found = [
        (place, _installed().find_beside(kind, ADMINISTRATIONS, scheme)) for (kind, scheme), place in places.items()
    ]
    return [(place, factory) for place, factory in found if factory is not None]


def find_prices(store: Location, queue: Location) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Find what requests cost, operation → USD per million, at a store and at its queue; empty where they are free.

    Raises:
        Misuse: As `find_store`.
    """
    return (
        _installed().find_beside(STORES, PRICES, store.scheme) or {},
        _installed().find_beside(QUEUES, PRICES, queue.scheme) or {},
    )


def find_committer(store: HistoryStore, queue: WorkQueue, environment: Environment) -> Committer:
    """Find who commits Steps on this pair: the provider of both, else `OutboxCommitter`."""
    offered: Committer | None = _installed().manager.hook.perdure_committer(
        store=store, queue=queue, environment=environment
    )
    return OutboxCommitter(store, queue, environment.clock) if offered is None else offered


def installed_providers() -> tuple[list[ProviderInfo], list[ProviderProblem]]:
    """List every provider that is installed; imports them all.

    Returns:
        What can be used, by scheme, and the plugins that cannot.
    """
    plugins = _installed()
    problems = [ProviderProblem(name, str(problem)) for name, problem in plugins.load_all().items()]
    infos = [_info(offer) for offer in plugins.offers if offer.hook in _KINDS]
    return sorted(infos, key=lambda info: (info.scheme, info.kind != "store", info.distribution)), problems


@functools.cache
def _installed() -> Plugins:
    return Plugins(metadata.entry_points(group=PLUGIN_GROUP))


@dataclass(frozen=True, slots=True)
class Offer:
    """What a plugin gives for one scheme in answer to one of the hooks."""

    hook: str
    scheme: str
    value: Any
    point: metadata.EntryPoint


class Plugins:
    """The plugins of some entry points, each imported when it is first asked for."""

    def __init__(self, entry_points: Iterable[metadata.EntryPoint]) -> None:
        self.manager = pluggy.PluginManager(PLUGIN_GROUP)
        self.manager.add_hookspecs(Hooks)
        self.offers: list[Offer] = []
        self._entry_points = list(entry_points)

    def find(self, hook: str, scheme: str) -> Any:
        """Get what one scheme is given for a hook.

        Raises:
            Misuse: Nobody offers it, or two do, or the plugin that it names cannot be used. Do what the message says.
        """
        named = [point for point in self._entry_points if point.name == scheme]
        _refuse_two(scheme, named)
        failed = {} if named else self.load_all()
        for point in named:
            self._load(point)
        found = self._offered(hook, scheme)
        if not found:
            raise self._unoffered(hook, scheme, named) if named else self._unknown(hook, scheme, failed)
        return found[0].value

    def find_beside(self, kind: str, hook: str, scheme: str) -> Any:
        """Get what one scheme, which must have a store or queue (`kind`), is given for another hook; None if nothing.

        Raises:
            Misuse: As `find`.
        """
        self.find(kind, scheme)
        found = self._offered(hook, scheme)
        return found[0].value if found else None

    def _offered(self, hook: str, scheme: str) -> list[Offer]:
        found = [offer for offer in self.offers if (offer.hook, offer.scheme) == (hook, scheme)]
        _refuse_two(scheme, [offer.point for offer in found])
        return found

    def load_all(self) -> dict[str, Misuse]:
        """Load every plugin; what became of those that cannot be used comes back, by distribution."""
        failed: dict[str, Misuse] = {}
        for point in self._entry_points:
            try:
                self._load(point)
            except Misuse as problem:
                failed[_owner(point)] = problem
        return failed

    def _load(self, point: metadata.EntryPoint) -> None:
        try:
            plugin = point.load()
        except Exception as problem:
            raise _broken(point, problem) from problem
        if self.manager.is_registered(plugin):
            return
        try:
            self.manager.register(plugin)
            self.manager.check_pending()  # A misspelt hook would never be called, and nobody would know why.
            self.offers += self._ask(plugin, point)
        except pluggy.PluginValidationError as problem:
            self.manager.unregister(plugin)
            raise _broken(point, problem, mend=_near(_hook_of(problem), _hooks())) from problem
        except Exception as problem:
            self.manager.unregister(plugin)
            raise _broken(point, problem) from problem

    def _ask(self, plugin: object, point: metadata.EntryPoint) -> list[Offer]:
        return [
            Offer(hook, scheme, value, point)
            for hook in _HOOKS
            for implementation in getattr(self.manager.hook, hook).get_hookimpls()
            if implementation.plugin is plugin
            for scheme, value in implementation.function().items()
        ]

    def _unoffered(self, hook: str, scheme: str, named: list[metadata.EntryPoint]) -> Misuse:
        """Explain a scheme whose plugin is there and has something else for it, or nothing."""
        other = next((_KINDS[o.hook] for o in self.offers if o.scheme == scheme and o.hook in _KINDS), "")
        if not other:
            return Misuse(
                f"The plugin {scheme!r} ({named[0].value}) of {_owner(named[0])} offers nothing for {scheme}: — mark "
                "its hooks with @perdure.spi.provider and let them answer with that scheme."
            )
        if hook == NATURAL_QUEUES:
            return Misuse(f"No queue goes naturally with {scheme}: — name one apart: queue=URL.")
        return Misuse(f"{scheme}: is a {other} and no {_KINDS[hook]}: name the {_KINDS[hook]} apart, as another URL.")

    def _unknown(self, hook: str, scheme: str, failed: Mapping[str, Misuse]) -> Misuse:
        if any(offer.scheme == scheme for offer in self.offers):
            return self._unoffered(hook, scheme, [])
        known = sorted({point.name for point in self._entry_points})
        mend = _near(scheme, {*known, *PACKAGES})
        if scheme in PACKAGES:
            mend = f" It comes with {PACKAGES[scheme]}: pip install --upgrade {PACKAGES[scheme]}."
        why = "".join(f" Besides: {problem}" for problem in failed.values())
        return Misuse(f"No provider of {scheme}: is installed.{mend} Installed: {', '.join(known) or 'none'}.{why}")


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _owner(point: metadata.EntryPoint) -> str:
    return point.value if point.dist is None else point.dist.name


def _refuse_two(scheme: str, points: Iterable[metadata.EntryPoint]) -> None:
    owners = sorted({_owner(point) for point in points})
    if len(owners) > 1:
        raise Misuse(f"{scheme}: is offered by {' and by '.join(owners)}: uninstall all but one.")


def _broken(point: metadata.EntryPoint, problem: Exception, mend: str = "") -> Misuse:
    return Misuse(
        f"The plugin {point.name!r} ({point.value}) of {_owner(point)} cannot be used: "
        f"{type(problem).__name__}: {problem}.{mend} Mend or uninstall {_owner(point)}."
    )


def _hooks() -> list[str]:
    return [name for name in vars(Hooks) if name.startswith("perdure_")]


def _hook_of(problem: pluggy.PluginValidationError) -> str:
    """Find the name that pluggy does not know in what it says."""
    words = str(problem).replace("'", " ").split()
    return next((word for word in words if word.startswith("perdure_")), "")


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _info(offer: Offer) -> ProviderInfo:
    distribution = offer.point.dist
    return ProviderInfo(
        scheme=offer.scheme,
        kind=_KINDS[offer.hook],
        distribution=_owner(offer.point),
        version="" if distribution is None else distribution.version,
        capabilities=_capabilities(offer.scheme, offer.value),
    )


def _capabilities(
    scheme: str, factory: StoreFactory | QueueFactory
) -> StoreCapabilities | Mapping[str, QueueCapabilities] | None:
    """Ask one that is made and never opened: making it does no I/O."""
    try:
        made = factory(parse_location(f"{scheme}:example"), Environment(SystemClock(), SystemEntropy()))
    except PerdureError:
        return None  # This provider's URLs look otherwise.
    return made.capabilities
