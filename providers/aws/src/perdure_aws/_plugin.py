"""What this package offers to a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import provider
from perdure_aws.s3 import S3Store
from perdure_aws.sqs import SqsQueue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi import QueueFactory, StoreFactory

__all__ = ["perdure_natural_queues", "perdure_queues", "perdure_stores"]


@provider
def perdure_stores() -> Mapping[str, StoreFactory]:
    """Offer `s3:` as a store."""
    return {"s3": S3Store}


@provider
def perdure_queues() -> Mapping[str, QueueFactory]:
    """Offer `sqs:` as a queue."""
    return {"sqs": SqsQueue}


@provider
def perdure_natural_queues() -> Mapping[str, str]:
    """Name the queues that go with a bucket after it: the same place and the same options."""
    return {"s3": "sqs:{rest}"}
