"""Queues in SQS."""

from perdure_aws.sqs._administration import SqsAdministration
from perdure_aws.sqs._queue import SqsQueue

__all__ = ["SqsAdministration", "SqsQueue"]
