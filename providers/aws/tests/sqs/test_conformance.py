"""`sqs:` keeps every promise of a queue."""

from __future__ import annotations

import pytest
from _aws_harnesses import AwsHarness
from perdure_conformance import WorkQueueContract

pytestmark = pytest.mark.usefixtures("kept_sdk")


class TestSome(WorkQueueContract):
    """A sample for every run: SQS counts in seconds, and so the whole takes minutes."""

    harness = AwsHarness
    one_in = 25


@pytest.mark.slow
class TestQueue(WorkQueueContract):
    harness = AwsHarness
