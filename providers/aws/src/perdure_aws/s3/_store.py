"""S3Store: `ObjectHistoryStore` over the objects of a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure.spi import ObjectHistoryStore
from perdure_aws._settings import read_place, read_settings
from perdure_aws.s3._objects import S3Objects

if TYPE_CHECKING:
    from perdure.spi import Environment, Location

__all__ = ["S3Store"]

_INDEX_SECONDS = 1.0


class S3Store(ObjectHistoryStore):
    """The histories of a hub in a bucket.

    Args:
        location: `s3://bucket/prefix?region=…`; the README lists the options.
        environment: The hub's clock and entropy.
        index_seconds: How often changes are written to the index for scans; above 0.
    """

    capabilities = msgspec.structs.replace(ObjectHistoryStore.capabilities, server_time=True)

    def __init__(self, location: Location, environment: Environment, *, index_seconds: float = _INDEX_SECONDS) -> None:
        objects = S3Objects(read_place(location), read_settings(location), environment)
        super().__init__(objects, environment, index_seconds=index_seconds)
        self.requests = objects.client.requests
