"""One opened hub: store, queue, committer, clock and entropy, found through plugins."""

from perdure.hub._examine import examine_hub
from perdure.hub._hub import Loaded, OpenHub, locations_of, open_hub
from perdure.hub._plugins import (
    find_administrations,
    find_committer,
    find_prices,
    find_queue,
    find_store,
    natural_queue,
)

__all__ = [
    "Loaded",
    "OpenHub",
    "examine_hub",
    "find_administrations",
    "find_committer",
    "find_prices",
    "find_queue",
    "find_store",
    "locations_of",
    "natural_queue",
    "open_hub",
]
