"""The one table of what S3 and its SDK report, and what a caller is to do about it.

What is wrong with the setting (a missing bucket, a missing right, credentials that ended) is `Misuse` when a hub is
opened. Later it is `Unavailable`: people mend it while workers wait, and no instance is to blame for it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from perdure.spi import Misuse, PerdureError, Unavailable, Unknown

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["AGAIN", "Asked", "code_of", "translated", "translated_code"]


class Meaning(Enum):
    """What an error says about the request that met it."""

    BUSY = auto()
    """Refused for now, without effect."""
    SETTING = auto()
    """Refused without effect until somebody changes something outside of the program."""
    LOST = auto()
    """Nobody knows: it may have had its effect, or still have it."""
    WRONG = auto()
    """Refused without effect, always."""


_REGION = "The bucket is in another region: write that into the URL, region=…."
_CREDENTIALS = "Check the credentials that the SDK finds (environment, profile, role of the machine)."
_ENDED = "The credentials ended: renew them; processes that take them from a role or a profile go on by themselves."
_BUCKET = "Create the bucket, or correct its name in the URL."
_RIGHT = "Allow {action} on {resource} to the credentials that the SDK finds."
_CLOCK = "Set the clock of this machine right: S3 refuses requests that are 15 minutes off."
_LATER = "It is worth the same call, later."
_SIZE = "Put what is large out of line."
_CONDITIONS = "The service lacks what a hub needs of it: conditional writes (If-Match and If-None-Match of PutObject)."
_KEY = "Enable the bucket's KMS key, and allow kms:Decrypt and kms:GenerateDataKey on it."
_ARCHIVED = "A rule of the bucket archived the object: restore it, and exempt the hub's prefix from the rule."
_NETWORK = "Check the endpoint, the name service and the network."
_CERTIFICATE = "Check the endpoint and its certificate (AWS_CA_BUNDLE)."
_SDK = (
    "Check the SDK's settings (AWS_PROFILE, AWS_REGION, its configuration file) and the URL's region=… and profile=…."
)
_REDIRECTED = "The endpoint sends requests elsewhere: write where to into the URL, endpoint=…."
_UNREADABLE = "Check that the endpoint is a service that speaks as S3 does."

_CODES: dict[str, tuple[Meaning, str]] = {
    # What S3 says: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    "NoSuchBucket": (Meaning.SETTING, _BUCKET),
    "AccessDenied": (Meaning.SETTING, _RIGHT),
    "AllAccessDisabled": (Meaning.SETTING, _RIGHT),
    "AccountProblem": (Meaning.SETTING, _CREDENTIALS),
    "InvalidAccessKeyId": (Meaning.SETTING, _CREDENTIALS),
    "SignatureDoesNotMatch": (Meaning.SETTING, _CREDENTIALS),
    "InvalidToken": (Meaning.SETTING, _CREDENTIALS),
    "ExpiredToken": (Meaning.SETTING, _ENDED),
    "TokenRefreshRequired": (Meaning.SETTING, _ENDED),
    "RequestTimeTooSkewed": (Meaning.SETTING, _CLOCK),
    "RequestExpired": (Meaning.SETTING, _CLOCK),
    "PermanentRedirect": (Meaning.SETTING, _REGION),
    "AuthorizationHeaderMalformed": (Meaning.SETTING, _REGION),
    "NotImplemented": (Meaning.SETTING, _CONDITIONS),
    "InvalidObjectState": (Meaning.SETTING, _ARCHIVED),
    "KMS.DisabledException": (Meaning.SETTING, _KEY),
    "KMS.KMSInvalidStateException": (Meaning.SETTING, _KEY),
    "KMS.NotFoundException": (Meaning.SETTING, _KEY),
    "ConditionalRequestConflict": (Meaning.BUSY, _LATER),
    "OperationAborted": (Meaning.BUSY, _LATER),
    "TemporaryRedirect": (Meaning.BUSY, _LATER),  # the bucket is new, or moves
    "SlowDown": (Meaning.BUSY, _LATER),
    "ServiceUnavailable": (Meaning.BUSY, _LATER),
    "ThrottlingException": (Meaning.BUSY, _LATER),
    "TooManyRequests": (Meaning.BUSY, _LATER),
    "RequestTimeout": (Meaning.BUSY, _LATER),  # the body did not arrive as a whole
    "IncompleteBody": (Meaning.BUSY, _LATER),
    "BadDigest": (Meaning.BUSY, _LATER),  # it was damaged on its way
    "InternalError": (Meaning.LOST, _LATER),
    "EntityTooLarge": (Meaning.WRONG, _SIZE),
}

AGAIN = frozenset({"ConditionalRequestConflict", "OperationAborted", "SlowDown", "ServiceUnavailable"})
"""Answers that ask for the very same request again, a little later; none of them is a verdict on a condition."""

# What comes without a code of the service: from what stands before it, or in answer to a request without a body.
_STATUSES: dict[int, tuple[Meaning, str]] = {
    301: (Meaning.SETTING, _REGION),
    403: (Meaning.SETTING, _RIGHT),
    429: (Meaning.BUSY, _LATER),
    500: (Meaning.LOST, _LATER),
    502: (Meaning.LOST, _LATER),
    503: (Meaning.LOST, _LATER),
    504: (Meaning.LOST, _LATER),
}

_ELSEWHERE = frozenset({"301", "PermanentRedirect", "AuthorizationHeaderMalformed"})

# The first row that fits holds: classes of the SDK are kinds of one another.
_EXCEPTIONS: tuple[tuple[type[Exception], Meaning, str], ...] = (
    (sdk.NoCredentialsError, Meaning.SETTING, _CREDENTIALS),
    (sdk.PartialCredentialsError, Meaning.SETTING, _CREDENTIALS),
    (sdk.CredentialRetrievalError, Meaning.SETTING, _CREDENTIALS),
    (sdk.TokenRetrievalError, Meaning.SETTING, _ENDED),
    (sdk.SSOError, Meaning.SETTING, _ENDED),
    (sdk.ProfileNotFound, Meaning.SETTING, _SDK),
    (sdk.ConfigParseError, Meaning.SETTING, _SDK),
    (sdk.NoRegionError, Meaning.SETTING, _SDK),
    (sdk.InvalidRegionError, Meaning.SETTING, _SDK),
    (sdk.InvalidConfigError, Meaning.SETTING, _SDK),
    (sdk.EndpointConnectionError, Meaning.BUSY, _NETWORK),  # nothing was sent, as with the next two
    (sdk.ConnectTimeoutError, Meaning.BUSY, _NETWORK),
    (sdk.ProxyConnectionError, Meaning.BUSY, _NETWORK),
    (sdk.SSLError, Meaning.LOST, _CERTIFICATE),  # while connecting or in the middle: it does not tell
    (sdk.ConnectionError, Meaning.LOST, _NETWORK),
    (sdk.HTTPClientError, Meaning.LOST, _NETWORK),  # no answer in time, or the connection broke
    (sdk.IncompleteReadError, Meaning.LOST, _NETWORK),
    (ResponseParserError, Meaning.LOST, _UNREADABLE),
    # A redirect that names no region: the SDK asks for the region, is redirected, asks for the region …
    (RecursionError, Meaning.SETTING, _REDIRECTED),
)


_ACTIONS = {
    "get_object": "s3:GetObject (and s3:ListBucket on the bucket)",
    "put_object": "s3:PutObject and s3:GetObject",
    "delete_objects": "s3:DeleteObject",
    "list_objects_v2": "s3:ListBucket",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as messages name it.

    Attributes:
        operation: Of the SDK's client.
        bucket: Of the hub.
        key: What it is about: an object, or what names begin with.
        is_write: A lost answer leaves open what there is now.
        is_opening: Nothing depends on it yet: what is wrong with the setting is told to who opens.
    """

    operation: str
    bucket: str
    key: str
    is_write: bool = False
    is_opening: bool = False

    @property
    def resource(self) -> str:
        """What a right would be given on."""
        whole = f"arn:aws:s3:::{self.bucket}"
        return whole if self.operation == "list_objects_v2" else f"{whole}/{self.key}"


@contextmanager
def translated(asked: Asked) -> Generator[None, None, None]:
    """Raise errors of S3 and its SDK as ours; those that the table lacks are left alone.

    Raises:
        PerdureError: The kind says what to do; the message, how to mend it.
        ClientError: Not in the table.
        BotoCoreError: Likewise.
        ResponseParserError: Likewise.
        RecursionError: Never; it is in the table.
    """
    try:
        yield
    except (sdk.ClientError, sdk.BotoCoreError, ResponseParserError, RecursionError) as error:
        row = _row_of(error)
        if row is None:
            raise
        explained = _explain(asked, *row, f"{error}{_region_of(error)}")
        raise explained from error


def _row_of(error: Exception) -> tuple[Meaning, str] | None:
    if isinstance(error, sdk.ClientError):
        return _CODES.get(code_of(error)) or _STATUSES.get(_status_of(error))
    return next(((meaning, mend) for kind, meaning, mend in _EXCEPTIONS if isinstance(error, kind)), None)


def translated_code(asked: Asked, code: str, message: str) -> PerdureError:
    """Make the error for a code that came inside a successful answer; one that the table lacks is worth a retry."""
    meaning, mend = _CODES.get(code, (Meaning.BUSY, _LATER))
    return _explain(asked, meaning, mend, f"{code}: {message}")


def code_of(error: sdk.ClientError) -> str:
    """Tell the service's code of an error; the status where there is none."""
    code: str = _answer_of(error).get("Error", {}).get("Code", "")
    return code


def _explain(asked: Asked, meaning: Meaning, mend: str, problem: str) -> PerdureError:
    mend = mend.format(action=_ACTIONS[asked.operation], resource=asked.resource)
    text = f"s3://{asked.bucket}/{asked.key}: {problem.rstrip('.')}. "
    if meaning is Meaning.WRONG or (meaning is Meaning.SETTING and asked.is_opening):
        return Misuse(text + mend)
    if meaning is Meaning.LOST and asked.is_write:
        return Unknown(f"{text}It may have happened. {mend}")
    return Unavailable(text + mend)


def _status_of(error: sdk.ClientError) -> int:
    return int(_answer_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _region_of(error: Exception) -> str:
    """Name the region that an error names: S3 says where a bucket is to whoever looks for it elsewhere."""
    if not isinstance(error, sdk.ClientError) or code_of(error) not in _ELSEWHERE:
        return ""
    answer = _answer_of(error)
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or answer.get("Error", {}).get("Region")
    return f" (region={region})" if region else ""


def _answer_of(error: sdk.ClientError) -> dict[str, Any]:
    answer: Any = error.response
    return dict(answer)
