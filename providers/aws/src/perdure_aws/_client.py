"""One service of AWS, asked off the event loop.

boto3 blocks, so its calls run on threads: as many as the settings say, for one service in one process, whatever the
number of stores and queues. Retries of the SDK are off. It would repeat a conditional write whose answer was lost, and
report the refusal of the second as the outcome of the first (R4): whoever calls decides what is repeated.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from perdure.spi import Unavailable

if TYPE_CHECKING:
    from perdure_aws._settings import AwsSettings

__all__ = ["Client", "Service"]

_NO_CONTENT = 204

Service: TypeAlias = Literal["s3", "sqs"]


class Client:
    """A way to one service: what one store or one queue holds.

    Args:
        service: Which.
        settings: How to reach it. Clients of one service with equal settings share connections and threads.
        wait_seconds_max: How long its requests may ask the service to wait before it answers. Clients of another wait
            have other threads and timeouts: so that what waits long, such as a receive, never holds up what must not,
            such as the renewal of a lease.

    Attributes:
        requests: How many were sent through this client, by operation, such as `put_object`.
    """

    def __init__(self, service: Service, settings: AwsSettings, *, wait_seconds_max: int = 0) -> None:
        self._key = (service, settings, wait_seconds_max)
        self._shared: _Shared | None = None
        self._slots = asyncio.Semaphore(settings.threads)
        self.requests: Counter[str] = Counter()

    async def open(self) -> None:
        """Get ready; sends no request of its own. More than once does nothing more.

        Raises:
            BotoCoreError: Region, profile or another setting of the SDK cannot be used.
        """
        if self._shared is not None:
            return
        shared = _Shared.take(self._key)
        try:
            await asyncio.wrap_future(shared.threads.submit(shared.get_sdk))
        except BaseException:
            shared.give_back(self._key)
            raise
        self._shared = shared

    async def aclose(self) -> None:
        """Let go. Requests under way are not waited for: they end by themselves, at the latest by their timeouts."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.give_back(self._key)

    async def call(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        """Send one request, once.

        A caller that is cancelled leaves a request that was sent to its end, unseen; it counts among the `threads`
        requests of this client until then.

        Args:
            operation: Method of boto3's client, such as `put_object`.
            arguments: Its arguments.

        Returns:
            Its answer; a `Body` in it was read to its end and is bytes.

        Raises:
            Unavailable: The client is not open.
            ClientError: The service answered with an error.
            BotoCoreError: It did not answer, or the request could not be made.
        """
        await self._slots.acquire()
        shared = self._shared
        if shared is None:
            self._slots.release()
            raise Unavailable(f"The {self._key[0]} client is not open: call open() first, and nothing after aclose().")
        try:
            answer = asyncio.wrap_future(shared.threads.submit(shared.send, operation, arguments))
        except BaseException:
            self._slots.release()
            raise
        answer.add_done_callback(lambda _: self._slots.release())
        self.requests[operation] += 1
        return await asyncio.shield(answer)


_ClientKey: TypeAlias = "tuple[Service, AwsSettings, int]"


class _Shared:
    """What the clients of one key use together: the SDK's client, its connections, and threads."""

    _all: dict[_ClientKey, _Shared] = {}  # noqa: RUF012 - guarded by _lock
    _lock = threading.Lock()

    def __init__(self, service: Service, settings: AwsSettings, wait_seconds_max: int) -> None:
        self.threads = ThreadPoolExecutor(settings.threads, thread_name_prefix=f"perdure-{service}")
        self._service: Service = service
        self._settings = settings
        self._wait_seconds_max = wait_seconds_max
        self._sdk: Any = None
        self._sdk_lock = threading.Lock()
        self._users = 0

    @classmethod
    def take(cls, key: _ClientKey) -> _Shared:
        """Find the one of a key, or make it."""
        with cls._lock:
            shared = cls._all.get(key)
            if shared is None:
                shared = cls._all[key] = _Shared(*key)
            shared._users += 1
            return shared

    def give_back(self, key: _ClientKey) -> None:
        """Say that one user less is there; the last one closes the connections."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            del self._all[key]
        self.threads.shutdown(wait=False)
        if self._sdk is not None:
            self._sdk.close()

    def get_sdk(self) -> Any:
        """Make the SDK's client, once: its description of the service alone takes a tenth of a second to load."""
        with self._sdk_lock:
            if self._sdk is None:
                self._sdk = _make_sdk(self._service, self._settings, self._wait_seconds_max)
            return self._sdk

    def send(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Send one request and read its answer; on a thread."""
        answer: dict[str, Any] = getattr(self._sdk, operation)(**arguments)
        if "Body" in answer:
            # Not `with body`: that gives the stream below, whose end is not checked.
            body = answer["Body"]
            try:
                answer["Body"] = body.read()
            finally:
                body.close()
        if not _is_whole(answer["ResponseMetadata"]):
            raise ConnectionClosedError(endpoint_url=self._sdk.meta.endpoint_url)
        return answer


def _is_whole(metadata: dict[str, Any]) -> bool:
    """Tell whether the headers of an answer came whole.

    Python takes a connection that ends within the headers for their end. What is left of the answer then has no body:
    the SDK would hand on an object without data, or a list without entries. The length of the body says more than that.
    """
    lengths = {"content-length", "transfer-encoding"} & metadata["HTTPHeaders"].keys()
    return bool(lengths) or metadata["HTTPStatusCode"] == _NO_CONTENT


def _make_sdk(service: Service, settings: AwsSettings, wait_seconds_max: int) -> Any:
    # A session of its own: the default one is the application's, and no two threads may make clients of one session.
    session: Any = boto3.session.Session(profile_name=settings.profile or None, region_name=settings.region or None)
    config = _config(settings, wait_seconds_max)
    return session.client(service, endpoint_url=settings.endpoint or None, config=config)


def _config(settings: AwsSettings, wait_seconds_max: int) -> Config:
    return Config(
        connect_timeout=settings.connect_timeout_seconds,
        read_timeout=settings.read_timeout_seconds + wait_seconds_max,
        max_pool_connections=settings.threads,
        retries={"total_max_attempts": 1, "mode": "standard"},
        # Checksums that services other than AWS's own do not all know; what we send has its own.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        tcp_keepalive=True,
    )
