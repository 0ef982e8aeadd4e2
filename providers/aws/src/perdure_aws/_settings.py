"""What a URL says about AWS: `s3://bucket/prefix?region=…&endpoint=…`, and the same with `sqs:`.

Both schemes take the same place and the same options, so that one URL names a store and the queue that goes with it.
Credentials are in no URL: the SDK finds them (environment, profile, the machine's role).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from perdure.spi import Misuse

if TYPE_CHECKING:
    from perdure.spi import Location

__all__ = ["PREFIX_BYTES_MAX", "AwsSettings", "Place", "read_place", "read_settings"]

PREFIX_BYTES_MAX = 120
"""S3's keys have 1,024 bytes and names of objects 900 of them; with room for a slash."""

_OPTIONS = ("region", "endpoint", "profile", "connect_timeout_seconds", "read_timeout_seconds", "threads")
_TIMEOUT_SECONDS_MAX = 300.0
_THREADS_MAX = 256
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+\Z)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """How to reach AWS, or what speaks as it does.

    Attributes:
        region: Such as `eu-central-1`; empty leaves it to the SDK (AWS_REGION, the profile).
        endpoint: URL of a service that speaks as AWS does; empty means AWS itself, or what the SDK's settings say.
        profile: Of the SDK's shared configuration; empty leaves it to the SDK.
        connect_timeout_seconds: How long a connection may take; above 0, at most 300.
        read_timeout_seconds: How long an answer may take, beyond the time that a request asks to wait; the same range.
        threads: Requests at one time, of one service, in one process; 1 to 256.
    """

    region: str = ""
    endpoint: str = ""
    profile: str = ""
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 15.0
    threads: int = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where in AWS a hub is.

    Attributes:
        bucket: Name of the bucket. A queue only takes it as a part of its name.
        prefix: What names of objects begin with, before a slash; empty for none.
    """

    bucket: str
    prefix: str = ""


def read_place(location: Location) -> Place:
    """Read bucket and prefix from a URL.

    Raises:
        Misuse: They cannot be used; the message says the rule.
    """
    bucket, _, prefix = location.path.partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket):
        raise Misuse(
            f"{location.url}: {bucket!r} is no name of a bucket: write {location.scheme}://bucket/prefix, the bucket "
            "with 3 to 63 lower-case letters, digits, hyphens and dots."
        )
    if prefix and (len(prefix) > PREFIX_BYTES_MAX or not _PREFIX.fullmatch(prefix)):
        raise Misuse(
            f"{location.url}: {prefix!r} is no prefix: use parts of letters, digits, '.', '_' and '-' joined by '/', "
            f"none of them '.' or '..', at most {PREFIX_BYTES_MAX} characters in all."
        )
    return Place(bucket, prefix)


def read_settings(location: Location) -> AwsSettings:
    """Read the options of a URL.

    Raises:
        Misuse: One is not known, or its value is out of range; the message names the nearest, or the range.
    """
    options = location.options
    for option in options:
        if option not in _OPTIONS:
            nearest = get_close_matches(option, _OPTIONS, 1) or _OPTIONS
            mend = " or ".join(map(repr, nearest))
            raise Misuse(f"{location.url}: there is no option {option!r}: did you mean {mend}?")
    known = AwsSettings()
    return AwsSettings(
        region=_region(location),
        endpoint=_endpoint(location),
        profile=options.get("profile", ""),
        connect_timeout_seconds=_number(
            location, "connect_timeout_seconds", known.connect_timeout_seconds, _TIMEOUT_SECONDS_MAX
        ),
        read_timeout_seconds=_number(
            location, "read_timeout_seconds", known.read_timeout_seconds, _TIMEOUT_SECONDS_MAX
        ),
        threads=_whole_number(location, "threads", known.threads, _THREADS_MAX),
    )


def _region(location: Location) -> str:
    region = location.options.get("region", "")
    if region and not re.fullmatch(r"[a-z0-9-]{1,63}", region):
        raise Misuse(f"{location.url}: {region!r} is no region: write for example region=eu-central-1.")
    return region


def _endpoint(location: Location) -> str:
    endpoint = location.options.get("endpoint", "")
    if not endpoint:
        return ""
    try:
        parts = urlsplit(endpoint)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    else:
        is_usable = is_usable and not (parts.username or parts.password or parts.query or parts.fragment)
    if not is_usable:
        raise Misuse(
            f"{location.url}: {endpoint!r} is no endpoint: write for example endpoint=http://localhost:9000, without "
            "user, password or query."
        )
    return endpoint.rstrip("/")


def _number(location: Location, option: str, default: float, most: float) -> float:
    text = location.options.get(option)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise Misuse(f"{location.url}: {option}={text} must be a number above 0 and at most {most:g}.")
    return value


def _whole_number(location: Location, option: str, default: int, most: int) -> int:
    value = _number(location, option, default, most)
    if value != int(value):
        raise Misuse(f"{location.url}: {option}={location.options[option]} must be a whole number, 1 to {most}.")
    return int(value)
