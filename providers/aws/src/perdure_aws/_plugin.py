"""What this package offers to a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import provider
from perdure_aws.s3 import S3Administration, S3Store
from perdure_aws.sqs import SqsAdministration, SqsQueue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi import AdministrationFactory, QueueFactory, StoreFactory

__all__ = [
    "perdure_administrations",
    "perdure_natural_queues",
    "perdure_prices",
    "perdure_queues",
    "perdure_stores",
]

_S3_PRICES = {"put_object": 5.0, "list_objects_v2": 5.0, "get_object": 0.4, "delete_objects": 0.0}
_SQS_PRICES: dict[str, float] = dict.fromkeys(
    (
        "send_message_batch",
        "receive_message",
        "delete_message_batch",
        "change_message_visibility_batch",
        "get_queue_url",
        "get_queue_attributes",
        "create_queue",
    ),
    0.4,
)


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


@provider
def perdure_administrations() -> Mapping[str, AdministrationFactory]:
    """Offer to set up and examine buckets and queues."""
    return {"s3": S3Administration, "sqs": SqsAdministration}


@provider
def perdure_prices() -> Mapping[str, Mapping[str, float]]:
    """Say what requests cost, by AWS's price lists for us-east-1 of 2025; other regions differ a little.

    Not in it: storage, traffic, and that SQS counts each 64 KiB of a request as one.
    """
    return {"s3": _S3_PRICES, "sqs": _SQS_PRICES}
