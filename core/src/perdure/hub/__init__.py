"""One opened hub: store, queue, committer, clock and entropy, found through plugins."""

from perdure.hub._hub import Loaded, OpenHub, open_hub
from perdure.hub._plugins import find_committer, find_queue, find_store, natural_queue

__all__ = ["Loaded", "OpenHub", "find_committer", "find_queue", "find_store", "natural_queue", "open_hub"]
