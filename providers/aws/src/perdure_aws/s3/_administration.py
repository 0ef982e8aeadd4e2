"""S3Administration: sets up and examines the bucket of a hub."""

from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from perdure.spi import Administration, Finding, Measure, Misuse
from perdure_aws._client import Client
from perdure_aws._settings import read_place, read_settings
from perdure_aws.s3._errors import Asked, code_of, translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from perdure.spi import Environment, Location, QueueName

__all__ = ["S3Administration"]

_MISSING = {"404", "NoSuchBucket"}
_DENIED = {"403", "AccessDenied"}
_SKEW_SECONDS_MAX = 5.0
_NO_ETAG = '"00000000000000000000000000000000"'
"""No object has it: a write on this condition changes nothing, and tells whether it may."""

_PROBE = "perdure-doctor-probe"
_FIRST_REGION = "us-east-1"


class S3Administration(Administration):
    """The bucket of a hub. One that is there is left as it is.

    Args:
        location: As of `S3Store`.
        environment: Its clock is compared with S3's.
    """

    def __init__(self, location: Location, environment: Environment) -> None:
        self._place = read_place(location)
        self._settings = read_settings(location)
        self._client = Client("s3", self._settings)
        self._clock = environment.clock
        self._start = f"{self._place.prefix}/" if self._place.prefix else ""

    async def aclose(self) -> None:
        await self._client.aclose()

    async def provision(self, queues: Sequence[QueueName], *, dry_run: bool) -> AsyncIterator[Measure]:
        del queues
        subject = f"bucket {self._place.bucket}"
        if await self._look() is not None:
            yield Measure(subject)
            return
        if not dry_run:
            await self._create()
        yield Measure(subject, "create, with public access blocked")

    async def examine(self, queues: Sequence[QueueName]) -> AsyncIterator[Finding]:
        del queues
        bucket = self._place.bucket
        try:
            found = await self._look()
        except Misuse as problem:
            # Without this right S3 refuses to tell what is missing from what is forbidden.
            mend = f"Allow s3:ListBucket on arn:aws:s3:::{bucket}, or do what the message says."
            yield Finding("right s3:ListBucket", str(problem), mend)
            return
        if found is None:
            yield Finding(f"bucket {bucket}", "is not there", "Run `perdure provision`.")
            return
        yield Finding(f"bucket {bucket}", "is there, and s3:ListBucket is allowed")
        yield self._compare_clocks(found)
        keys = [f"{self._start}{folder}{_PROBE}" for folder in ("h/", "p/", "ix/")]
        for key in keys:
            yield await self._try("s3:GetObject", "get_object", Key=key)
            yield await self._try("s3:PutObject", "put_object", Key=key, Body=b"", IfMatch=_NO_ETAG)
        yield await self._try(
            "s3:DeleteObject", "delete_objects", Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        yield await self._examine_rules()

    def policies(self, queues: Sequence[QueueName]) -> Mapping[str, str]:
        """As `Administration.policies`; who scans or writes merges the index, and deletes below `ix/`."""
        del queues
        whole = {"*": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]}
        client = {"*": ["s3:GetObject", "s3:PutObject"], "ix/*": ["s3:DeleteObject"]}
        return {"worker": self._policy(whole), "client": self._policy(client), "sweeper": self._policy(whole)}

    def _policy(self, actions: Mapping[str, Sequence[str]]) -> str:
        bucket = f"arn:aws:s3:::{self._place.bucket}"
        listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": bucket}
        if self._start:
            listing["Condition"] = {"StringLike": {"s3:prefix": f"{self._start}*"}}
        objects = [
            {"Effect": "Allow", "Action": allowed, "Resource": f"{bucket}/{self._start}{names}"}
            for names, allowed in actions.items()
        ]
        return json.dumps({"Version": "2012-10-17", "Statement": [listing, *objects]}, indent=2)

    async def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        await self._client.open()
        return await self._client.call(operation, Bucket=self._place.bucket, **arguments)

    def _translated(self) -> Any:
        return translated(Asked("list_objects_v2", self._place.bucket, self._start, is_opening=True))

    async def _look(self) -> dict[str, Any] | None:
        """List one object; None: the bucket is not there. One in another region is Misuse, and the message names it.

        Not HeadBucket: a right that is limited to a prefix does not include it.

        Raises:
            ClientError: S3 says what the table of errors lacks.
        """
        with self._translated():
            try:
                return await self._call("list_objects_v2", Prefix=self._start, MaxKeys=1)
            except ClientError as error:
                if code_of(error) in _MISSING:
                    return None
                raise

    async def _create(self) -> None:
        """Make the bucket. Crash between the two: AWS blocks public access of every new bucket by itself."""
        region = self._settings.region or await asyncio.to_thread(self._region_of_sdk)
        where = {} if region in {"", _FIRST_REGION} else {"LocationConstraint": region}
        more = {"CreateBucketConfiguration": where} if where else {}
        blocked = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        )
        await self._change("s3:CreateBucket", "create_bucket", **more)
        await self._change(
            "s3:PutBucketPublicAccessBlock", "put_public_access_block", PublicAccessBlockConfiguration=blocked
        )

    async def _change(self, action: str, operation: str, **arguments: Any) -> None:
        bucket = self._place.bucket
        with self._translated():
            try:
                await self._call(operation, **arguments)
            except ClientError as error:
                if code_of(error) in _DENIED:
                    raise Misuse(f"{error} Allow {action} on arn:aws:s3:::{bucket}.") from error
                if code_of(error) == "BucketAlreadyExists":
                    raise Misuse(f"The name {bucket} is taken by another account: choose another.") from error
                raise

    def _region_of_sdk(self) -> str:
        session: Any = boto3.session.Session(profile_name=self._settings.profile or None)
        return session.region_name or ""

    def _compare_clocks(self, answer: dict[str, Any]) -> Finding:
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        if not date:
            return Finding("clock of S3", "the service tells no time")
        skew = abs(self._clock.now() - parsedate_to_datetime(date).timestamp())
        mend = "Synchronise this machine's clock (NTP)." if skew > _SKEW_SECONDS_MAX else ""
        return Finding("clock of S3", f"differs by {skew:.0f} s", mend)

    async def _try(self, action: str, operation: str, **arguments: Any) -> Finding:
        """Make a request that changes nothing; any answer but a refusal of the right will do."""
        subject = f"right {action}"
        where = arguments.get("Key", "") and f" on {arguments['Key']}"
        mend = f"Allow {action} on arn:aws:s3:::{self._place.bucket}/{self._start}*."
        with self._translated():
            try:
                answer = await self._call(operation, **arguments)
            except ClientError as error:
                if code_of(error) in _DENIED:
                    return Finding(subject, f"is missing{where}", mend)
                if code_of(error) not in {"NoSuchKey", "PreconditionFailed"}:
                    raise
                answer = {}
        if any(failed.get("Code") in _DENIED for failed in answer.get("Errors", ())):
            return Finding(subject, "is missing", mend)
        return Finding(subject, f"is there{where}")

    async def _examine_rules(self) -> Finding:
        subject = "lifecycle rules"
        with self._translated():
            try:
                answer = await self._call("get_bucket_lifecycle_configuration")
            except ClientError as error:
                if code_of(error) in _DENIED:
                    return Finding(
                        subject, "not looked at: s3:GetLifecycleConfiguration is missing; no worker needs it"
                    )
                if code_of(error) != "NoSuchLifecycleConfiguration":
                    raise
                answer = {}
        touching = [rule.get("ID", "unnamed") for rule in answer.get("Rules", ()) if _touches(rule, self._start)]
        if touching:
            told = f"{', '.join(touching)} would delete or archive objects of the hub"
            return Finding(subject, told, f"Exempt the prefix {self._start or '(all)'} from them, or remove them.")
        return Finding(subject, "none touches the hub")


def _touches(rule: Mapping[str, Any], start: str) -> bool:
    """Tell whether a rule would delete or archive what is current below a prefix; what its tags exempt, it may not."""
    chosen = rule.get("Filter", {})
    prefix = rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or ""
    expires = {"Days", "Date"} & rule.get("Expiration", {}).keys()
    is_meant = prefix.startswith(start) or start.startswith(prefix)
    return rule.get("Status") == "Enabled" and is_meant and bool(expires or rule.get("Transitions"))
