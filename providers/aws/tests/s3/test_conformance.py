"""`s3:` keeps every promise of the interfaces."""

from __future__ import annotations

import pytest
from _aws_harnesses import AwsHarness
from perdure_conformance import HistoryStoreContract

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("endpoint")]


class TestHistory(HistoryStoreContract):
    harness = AwsHarness
