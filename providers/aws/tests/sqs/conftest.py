"""Queues of the emulator for the tests of this folder."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import pytest_asyncio

# pytest imports test modules by path, so that no folder is importable; what they share is, by name.
sys.path.insert(0, str(Path(__file__).parent))

from _aws_harnesses import REGION, AwsHarness, location_of

from perdure.spi import Environment, SystemClock, SystemEntropy
from perdure_aws import SqsQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from perdure_conformance import Harness


@pytest.fixture(scope="session")
def kept_sdk(endpoint: str) -> Iterator[None]:
    """Keep one client of SQS open: else the SDK reads its description of the service again for every test."""
    queue = SqsQueue(location_of(endpoint, "kept", scheme="sqs"), Environment(SystemClock(), SystemEntropy()))
    asyncio.run(queue.open())
    yield
    asyncio.run(queue.aclose())


@pytest_asyncio.fixture
async def harness(kept_sdk: None, tmp_path: Path) -> AsyncIterator[Harness]:
    """Open queues of the emulator, this test's own."""
    del kept_sdk
    async with AwsHarness(tmp_path / "hub") as opened:
        yield opened


@pytest.fixture
def sdk(endpoint: str) -> Iterator[Any]:
    """Give the SDK's own client, for what happens behind a queue's back."""
    client: Any = boto3.session.Session().client("sqs", region_name=REGION, endpoint_url=endpoint)
    yield client
    client.close()
