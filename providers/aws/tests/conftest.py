"""An emulator of AWS for the tests of this package, one per process that runs tests, and one bucket in it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from perdure_conformance.emulators import AWS_TEST_ENVIRONMENT, localstack, ministack

# pytest imports test modules by path, so that no folder is importable; what they share is, by name.
sys.path.insert(0, str(Path(__file__).parent))

from _aws_harnesses import BUCKET, REGION, AwsHarness, location_of

from perdure_aws._client import Client
from perdure_aws._settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

EMULATORS = {"ministack": ministack, "localstack": localstack}


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    """Let the SDK find the credentials of tests, and nothing of the person who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in AWS_TEST_ENVIRONMENT.items():
            patch.setenv(name, value) if value else patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def endpoint(credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the emulator that PERDURE_AWS_EMULATOR names, `ministack` or `localstack`."""
    del credentials
    name = os.environ.get("PERDURE_AWS_EMULATOR", "ministack")
    with EMULATORS[name](tmp_path_factory.mktemp(name)) as url:
        s3 = boto3.session.Session().client("s3", region_name=REGION, endpoint_url=url)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.close()
        AwsHarness.endpoint = url
        # Held open: the clients of one process share what the SDK takes a tenth of a second to make.
        held = Client("s3", read_settings(location_of(url, "held")))
        asyncio.run(held.open())
        yield url
        asyncio.run(held.aclose())
