"""The one table of what SQS and its SDK report, and what a caller is to do about it.

Requests can be made again without harm, so that only a message whose sending had no answer is `Unknown`: made again,
it is perhaps a second message. `LeaseLost` stays inside this package, as the answer for one message.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore import exceptions as sdk

from perdure.spi import LeaseLost, Misuse, PerdureError, Unavailable, Unknown

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from typing import Any

__all__ = ["QueueGone", "entry_error", "translated"]


class QueueGone(Unavailable):
    """There is no such queue, or not any more. The next call finds out, and creates it where that is allowed."""


_SEND = "send_message_batch"

_CREDENTIALS = (
    "No usable credentials: set up the SDK's (environment, profile or role), and check region and the machine's clock."
)
_RENEW = "The credentials have expired: renew them; until then nothing is received and nothing is lost."
_SLOWER = "It is asked too often: it is tried again later; fewer workers or larger batches help if this stays."
_KEY = "The queue's encryption key cannot be used: check it, and the rights kms:Decrypt and kms:GenerateDataKey."

_CODES: dict[str, tuple[type[PerdureError], str]] = {
    "NonExistentQueue": (QueueGone, "It is created again at the next call where that is allowed."),
    "QueueDoesNotExist": (QueueGone, "It is created again at the next call where that is allowed."),
    "QueueDeletedRecently": (Unavailable, "SQS takes a name again 60 seconds after its queue was deleted."),
    "QueueAlreadyExists": (Misuse, "It is there with other attributes: delete it while it is empty, or mend those."),
    "QueueNameExists": (Misuse, "It is there with other attributes: delete it while it is empty, or mend those."),
    "AccessDenied": (Misuse, "Allow it in the policy of who runs this."),
    "AccessDeniedException": (Misuse, "Allow it in the policy of who runs this."),
    "UnauthorizedOperation": (Misuse, "Allow it in the policy of who runs this."),
    "ExpiredToken": (Unavailable, _RENEW),
    "ExpiredTokenException": (Unavailable, _RENEW),
    "RequestExpired": (Unavailable, "The machine's clock is wrong, or the request was under way for minutes."),
    "InvalidClientTokenId": (Misuse, _CREDENTIALS),
    "InvalidAccessKeyId": (Misuse, _CREDENTIALS),
    "UnrecognizedClientException": (Misuse, _CREDENTIALS),
    "SignatureDoesNotMatch": (Misuse, _CREDENTIALS),
    "InvalidSignatureException": (Misuse, _CREDENTIALS),
    "IncompleteSignature": (Misuse, _CREDENTIALS),
    "MissingAuthenticationToken": (Misuse, _CREDENTIALS),
    "InvalidSecurity": (Misuse, "It takes requests over https only: name such an endpoint."),
    "InvalidAddress": (Misuse, "The endpoint is not of the account and region that the queue is in."),
    "UnsupportedOperation": (Misuse, "The service behind this endpoint cannot do it: name another endpoint."),
    "InvalidAttributeValue": (Misuse, "The service behind this endpoint cannot do it: name another endpoint."),
    "InvalidAttributeName": (Misuse, "The service behind this endpoint cannot do it: name another endpoint."),
    "RequestThrottled": (Unavailable, _SLOWER),
    "Throttling": (Unavailable, _SLOWER),
    "ThrottlingException": (Unavailable, _SLOWER),
    "ThrottledException": (Unavailable, _SLOWER),
    "TooManyRequestsException": (Unavailable, _SLOWER),
    "RequestLimitExceeded": (Unavailable, _SLOWER),
    "OverLimit": (Unavailable, "120,000 messages of this queue are held at once: wait, or use more queues."),
    "KmsThrottled": (Unavailable, _SLOWER),
    "KmsAccessDenied": (Misuse, _KEY),
    "KmsDisabled": (Misuse, _KEY),
    "KmsInvalidKeyUsage": (Misuse, _KEY),
    "KmsInvalidState": (Misuse, _KEY),
    "KmsNotFound": (Misuse, _KEY),
    "KmsOptInRequired": (Misuse, _KEY),
    "ReceiptHandleIsInvalid": (LeaseLost, "Its lease had ended."),
    "MessageNotInflight": (LeaseLost, "Its lease had ended."),
    "ServiceUnavailable": (Unavailable, "It is tried again later."),
}

_LOST_LEASE_CODES = {"InvalidParameterValue", "InvalidIdFormat"}
"""What SQS says of a message that is deleted already, or hidden for 12 hours in all; LocalStack puts `Exception`
behind it."""

# The first that fits counts.
_NO_ANSWER: tuple[tuple[type[Exception], type[PerdureError], str], ...] = (
    (sdk.NoCredentialsError, Misuse, _CREDENTIALS),
    (sdk.PartialCredentialsError, Misuse, _CREDENTIALS),
    (sdk.ProfileNotFound, Misuse, "Name a profile of the SDK's configuration."),
    (sdk.NoRegionError, Misuse, "Name a region: region=… in the URL, AWS_REGION, or the SDK's configuration."),
    (sdk.InvalidRegionError, Misuse, "Name a region that there is."),
    (sdk.SSLError, Misuse, "The endpoint's certificate is not trusted, or it does not speak https."),
    (sdk.CredentialRetrievalError, Unavailable, "The credentials could not be fetched; it is tried again later."),
    (sdk.TokenRetrievalError, Unavailable, _RENEW),
    (sdk.SSOError, Unavailable, _RENEW),
    # Before a connection stands nothing is sent.
    (sdk.ConnectionError, Unavailable, "Check endpoint, region and network."),
    (sdk.HTTPClientError, Unknown, "Check endpoint and network."),
    (sdk.IncompleteReadError, Unknown, "Check endpoint and network."),
)

_SERVER_FAULT_STATUS = 500


@contextmanager
def translated(operation: str, where: str) -> Generator[None, None, None]:
    """Raise errors of the SDK as ours; those that the table lacks are left alone.

    Args:
        operation: Name of the SDK's method.
        where: The queue, for the message.

    Raises:
        PerdureError: The kind says what to do; the message, how to mend it.
        ClientError: Not in the table.
        BotoCoreError: Likewise.
    """
    try:
        yield
    except sdk.ClientError as error:
        answer: Mapping[str, Any] = error.response
        code = answer.get("Error", {}).get("Code", "")
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code.rsplit(".", 1)[-1] not in _CODES and status < _SERVER_FAULT_STATUS:
            raise
        translation = _error(operation, where, code, str(error))
        raise translation from error
    except sdk.BotoCoreError as error:
        for kind, ours, mend in _NO_ANSWER:
            if isinstance(error, kind):
                raise _asked(operation, ours)(f"{_what(operation, where)}: {error} {mend}") from error
        raise


def entry_error(operation: str, where: str, failed: Mapping[str, Any]) -> PerdureError:
    """Give the error of one message of a batch whose others may have succeeded."""
    code, text = failed.get("Code", ""), failed.get("Message", "")
    if code.removesuffix("Exception") in _LOST_LEASE_CODES and operation != _SEND:
        return LeaseLost(f"{where}: {code}: {text}")
    if failed.get("SenderFault") and code.rsplit(".", 1)[-1] not in _CODES:
        return Misuse(f"{_what(operation, where)}: {code}: {text}")
    return _error(operation, where, code, f"{code}: {text}")


def _error(operation: str, where: str, code: str, text: str) -> PerdureError:
    kind, mend = _CODES.get(code.rsplit(".", 1)[-1], (Unknown, "It is tried again later."))
    return _asked(operation, kind)(f"{_what(operation, where)}: {text} {mend}")


def _asked(operation: str, kind: type[PerdureError]) -> type[PerdureError]:
    """Only of sending does it matter whether it happened."""
    return Unavailable if kind is Unknown and operation != _SEND else kind


def _what(operation: str, where: str) -> str:
    """Name a request by the right that it needs, for that is what has to be allowed."""
    action = "".join(part.capitalize() for part in operation.removesuffix("_batch").split("_"))
    return f"sqs:{action} on {where}"
