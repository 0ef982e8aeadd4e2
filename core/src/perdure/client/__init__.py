"""What a process may ask of a hub."""

from perdure.client._client import Client
from perdure.client._history import History
from perdure.client._run import Run

__all__ = ["Client", "History", "Run"]
