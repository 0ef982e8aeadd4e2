"""S3 and SQS together do what every pair of store and queue does."""

from __future__ import annotations

import pytest
from _aws_harnesses import AwsHarness
from perdure_conformance import CommitterContract
from perdure_conformance.scenarios import HubContract

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("kept_sdk")]


class TestCommitter(CommitterContract):
    harness = AwsHarness


class TestHub(HubContract):
    harness = AwsHarness
