"""Perdure on AWS: histories in S3, queues in SQS.

`s3://BUCKET/PREFIX` keeps the histories of a hub in a bucket; queues of the same name in SQS go with it.
"""

from perdure_aws._plugin import (
    perdure_administrations,
    perdure_natural_queues,
    perdure_prices,
    perdure_queues,
    perdure_stores,
)
from perdure_aws.s3 import S3Administration, S3Objects, S3Store
from perdure_aws.sqs import SqsAdministration, SqsQueue

__all__ = [
    "S3Administration",
    "S3Objects",
    "S3Store",
    "SqsAdministration",
    "SqsQueue",
    "perdure_administrations",
    "perdure_natural_queues",
    "perdure_prices",
    "perdure_queues",
    "perdure_stores",
]
