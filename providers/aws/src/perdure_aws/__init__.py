"""Perdure on AWS: histories in S3, queues in SQS."""
