"""One opened hub: store, queue, committer, clock and entropy, found through plugins."""

from perdure.hub._hub import Loaded, OpenHub, open_hub

__all__ = ["Loaded", "OpenHub", "open_hub"]
