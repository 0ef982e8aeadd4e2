"""How long an answer is waited for: a receive may ask the service to wait, nothing else may."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from _aws_harnesses import location_of
from botocore.exceptions import ReadTimeoutError

from perdure_aws._client import Client
from perdure_aws._settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_SECONDS = 1


@pytest.fixture
def silent() -> Iterator[str]:
    """Give an endpoint that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("wait_seconds_max", [0, WAIT_SECONDS])
async def test_only_who_asks_to_wait_is_waited_for_longer(silent: str, wait_seconds_max: int) -> None:
    settings = read_settings(location_of(silent, "x", read_timeout_seconds="0.2"))
    client = Client("sqs", settings, wait_seconds_max=wait_seconds_max)
    await client.open()
    with pytest.raises(ReadTimeoutError):
        await client.call("list_queues")
    assert client._shared is not None
    assert client._shared.get_sdk().meta.config.read_timeout == pytest.approx(0.2 + wait_seconds_max)
    await client.aclose()
