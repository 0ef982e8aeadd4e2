"""What stands in for S3 and SQS: ministack, an emulator in one Python process."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from perdure_conformance.emulators._server import ServerProcess, answers_http

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["AWS_TEST_ENVIRONMENT", "ministack"]

AWS_TEST_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "",
        "AWS_PROFILE": "",
        "AWS_DEFAULT_PROFILE": "",
        "AWS_ENDPOINT_URL": "",
        "AWS_REGION": "",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
)
"""Variables for the SDK in tests: credentials that emulators take, and nothing of the person who runs them. An empty
value means that the variable must not be there."""


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """Run ministack with S3 and SQS; half a second to start.

    Args:
        folder: For its log; it keeps everything in memory.

    Yields:
        Its URL.

    Raises:
        ServerDidNotStart: The message holds its log.
    """
    server = ServerProcess(
        "ministack",
        lambda _: [sys.executable, "-m", "ministack"],
        folder=folder,
        environment=lambda port: {
            "SERVICES": "s3,sqs",
            "BIND_HOST": "127.0.0.1",  # it would listen on every interface
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "WARNING",
        },
        is_ready=lambda port: answers_http(f"http://127.0.0.1:{port}/_ministack/health"),
    )
    with server:
        yield f"http://127.0.0.1:{server.port}"
