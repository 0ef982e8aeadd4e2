"""FileStore: `ObjectHistoryStore` over the files of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import ObjectHistoryStore
from perdure_local.file._folder import check_location
from perdure_local.file._objects import FileObjects

if TYPE_CHECKING:
    from perdure.spi import Environment, Location

__all__ = ["FileStore"]

_LOOK_SECONDS_MAX = 0.5


class FileStore(ObjectHistoryStore):
    """The histories of a hub in plain files of this machine.

    Args:
        location: `file:FOLDER`; the folder is created where there is none.
        environment: The hub's clock and entropy.
    """

    def __init__(self, location: Location, environment: Environment) -> None:
        check_location(location)
        objects = FileObjects(location.path, environment.entropy)
        super().__init__(objects, environment, look_seconds_max=_LOOK_SECONDS_MAX)
