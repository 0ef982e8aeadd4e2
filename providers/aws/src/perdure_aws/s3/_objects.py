"""S3Objects: each object one of a bucket, under the hub's prefix; conditions are If-Match and If-None-Match."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from perdure.spi import (
    Absent,
    ConditionalObjects,
    Etag,
    Found,
    Misuse,
    ObjectsCapabilities,
    PreconditionFailed,
    Unchanged,
    Unknown,
    check_object_name,
)
from perdure_aws._client import Client
from perdure_aws.s3._errors import AGAIN, Asked, code_of, translated, translated_code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from perdure.spi import Environment
    from perdure_aws._settings import AwsSettings, Place

__all__ = ["S3Objects"]

_DELETED_AT_ONCE_MAX = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_ATTEMPTS = 6
_PAUSE_FIRST_SECONDS = 0.05
# One etag; `*` would match any, and a comma makes two.
_ONE_ETAG = re.compile(r"(?!\*\Z)[!-+\--~]+")


class S3Objects(ConditionalObjects):
    """Objects of a bucket.

    Args:
        place: Bucket and prefix.
        settings: How to reach S3.
        environment: The hub's clock and entropy, for the pauses that S3 asks for.

    Attributes:
        client: The way to S3; it counts the requests.
    """

    capabilities = ObjectsCapabilities(object_bytes_max=256 * 2**20, server_time=True)

    def __init__(self, place: Place, settings: AwsSettings, environment: Environment) -> None:
        self.client = Client("s3", settings)
        self._bucket = place.bucket
        self._start = f"{place.prefix}/" if place.prefix else ""
        self._clock = environment.clock
        self._entropy = environment.entropy

    async def open(self) -> None:
        """As `ConditionalObjects.open`; asks for one name, so that what is wrong is told here and not by a worker."""
        asked = Asked("list_objects_v2", self._bucket, self._start, is_opening=True)
        try:
            with translated(asked):
                await self.client.open()
            await self._ask(asked, Prefix=self._start, MaxKeys=1)
        except BaseException:
            await self.client.aclose()
            raise

    async def aclose(self) -> None:
        await self.client.aclose()

    async def get(self, name: str, known_etag: Etag | None = None) -> Found | Absent | Unchanged:
        key = self._key_of(name)
        condition = {"IfNoneMatch": known_etag} if known_etag and _ONE_ETAG.fullmatch(known_etag) else {}
        try:
            answer = await self._ask(Asked("get_object", self._bucket, key), Key=key, **condition)
        except ClientError as error:
            if code_of(error) == "304":
                refused: Any = error.response
                return Unchanged(_server_time(refused))
            if code_of(error) == "NoSuchKey":
                return Absent()
            raise
        return Found(answer["Body"], Etag(answer["ETag"]), _server_time(answer))

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        key, most = self._key_of(name), self.capabilities.object_bytes_max
        if len(data) > most:
            raise Misuse(f"{name}: an object has at most object_bytes_max={most} bytes, this one has {len(data)}.")
        if if_match is not None and not _ONE_ETAG.fullmatch(if_match):
            return PreconditionFailed()  # nobody was ever given this one
        condition = {"IfNoneMatch": "*"} if if_absent else {} if if_match is None else {"IfMatch": if_match}
        asked = Asked("put_object", self._bucket, key, is_write=True)
        try:
            answer = await self._ask(asked, Key=key, Body=data, ContentMD5=_md5(data), **condition)
        except ClientError as error:
            # NoSuchKey: there is nothing that could have the etag.
            if code_of(error) in {"PreconditionFailed", "NoSuchKey"} and condition:
                return PreconditionFailed()
            raise
        if not answer.get("ETag"):
            raise Unknown(f"s3://{self._bucket}/{key}: it was written, but the answer names no etag: is this S3?")
        return Etag(answer["ETag"])

    async def delete(self, names: Sequence[str]) -> None:
        keys = [self._key_of(name) for name in names]
        for start in range(0, len(keys), _DELETED_AT_ONCE_MAX):
            await self._delete(keys[start : start + _DELETED_AT_ONCE_MAX])

    async def _delete(self, keys: Sequence[str]) -> None:
        asked = Asked("delete_objects", self._bucket, keys[0])
        answer = await self._ask(asked, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        failed: Sequence[dict[str, str]] = answer.get("Errors", ())
        if failed:
            first = failed[0]
            asked = Asked("delete_objects", self._bucket, first.get("Key", keys[0]))
            problem = f"{first.get('Message', '')} ({len(failed)} of {len(keys)} objects were not deleted)"
            raise translated_code(asked, first.get("Code", ""), problem)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        key = self._start + prefix
        asked = Asked("list_objects_v2", self._bucket, key)
        while True:
            # After a name rather than by a token: a name says the same to every service, however late.
            condition = {"StartAfter": self._start + after} if after else {}
            answer = await self._ask(asked, Prefix=key, **condition)
            names = [found["Key"][len(self._start) :] for found in answer.get("Contents", ())]
            for name in names:
                yield name
            if not names or not answer.get("IsTruncated"):
                return
            after = names[-1]

    async def _ask(self, asked: Asked, **arguments: Any) -> dict[str, Any]:
        """Send a request, and the very same again where S3 asks for that: it had no effect then."""
        pause = _PAUSE_FIRST_SECONDS
        for attempts_left in reversed(range(_ATTEMPTS)):
            with translated(asked):
                try:
                    return await self.client.call(asked.operation, Bucket=self._bucket, **arguments)
                except ClientError as error:
                    if not attempts_left or code_of(error) not in AGAIN:
                        raise
            # Half of it by chance: those who were refused together do not come back together.
            await self._clock.sleep(pause * (0.5 + self._entropy.random_bytes(1)[0] / 512))
            pause *= 2
        raise AssertionError  # the last attempt returns or raises

    def _key_of(self, name: str) -> str:
        return self._start + check_object_name(name)


def _md5(data: bytes) -> str:
    """Say what must arrive, as every service knows it; not for secrecy."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _server_time(answer: dict[str, Any]) -> float:
    """Read the service's clock from an answer; it tells whole seconds, so the middle of one is the best guess."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    with suppress(ValueError):
        return parsedate_to_datetime(date).timestamp() + 0.5
    return 0.0
