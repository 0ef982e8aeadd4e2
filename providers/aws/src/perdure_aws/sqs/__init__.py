"""Queues in SQS."""

from perdure_aws.sqs._queue import SqsQueue

__all__ = ["SqsQueue"]
