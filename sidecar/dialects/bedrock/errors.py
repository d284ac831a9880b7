"""Refusals of the Bedrock runtime, and exceptions within its streams, to our error classes
(docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes; botocore's service model).
"""

import re
from collections.abc import Mapping

import msgspec

from sidecar.dialects.redact import redact
from sidecar.dialects.retry_after import retry_after_seconds
from sidecar.errors import (
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    MalformedAnswer,
    ModelGone,
    Overloaded,
    Rejected,
    ServerFault,
    StreamFailed,
    Throttled,
    UpstreamError,
)

_BY_TYPE: dict[str, type[UpstreamError]] = {
    "AccessDeniedException": CredentialRefused,
    "ExpiredTokenException": CredentialRefused,
    "IncompleteSignature": CredentialRefused,
    "IncompleteSignatureException": CredentialRefused,
    "InternalFailure": ServerFault,
    "InternalServerException": ServerFault,
    "InvalidClientTokenId": CredentialRefused,
    "InvalidSignatureException": CredentialRefused,
    "MissingAuthenticationTokenException": CredentialRefused,
    "ModelErrorException": ServerFault,
    "ModelNotReadyException": Overloaded,
    "ModelStreamErrorException": ServerFault,
    "ModelTimeoutException": ServerFault,
    "NotAuthorized": CredentialRefused,
    "OptInRequired": CredentialRefused,
    "RequestExpired": CredentialRefused,
    "ResourceNotFoundException": ModelGone,
    # Here a quota is a limit of the account, which time or the next target mends.
    "ServiceQuotaExceededException": Throttled,
    "ServiceUnavailable": Overloaded,
    "ServiceUnavailableException": Overloaded,
    "ThrottlingException": Throttled,
    "UnrecognizedClientException": CredentialRefused,
}
"""Types say more than their status does: a spent quota is a 400."""

_BY_STATUS: dict[int, type[UpstreamError]] = {
    400: Rejected,
    401: CredentialRefused,
    402: CredentialRefused,
    403: CredentialRefused,
    404: ModelGone,
    408: ServerFault,
    409: ServerFault,
    413: Rejected,
    422: Rejected,
    424: ServerFault,
    429: Throttled,
    503: Overloaded,
}

_BY_MESSAGE: tuple[tuple[re.Pattern[str], type[UpstreamError]], ...] = (
    (re.compile(r"(?:input|prompt) is too long|context limit|maximum context length", re.IGNORECASE), ContextTooLong),
    (re.compile(r"blocked by content filtering policy", re.IGNORECASE), ContentRefused),
    (re.compile(r"model identifier is invalid|on-demand throughput isn.t supported", re.IGNORECASE), ModelGone),
)
"""A ValidationException is told apart by nothing but its message, which quotes the model vendor's own."""


class _Said(msgspec.Struct, frozen=True):
    message: object = None
    capital: object = msgspec.field(name="Message", default=None)
    kind: object = msgspec.field(name="__type", default=None)


_SAID = msgspec.json.Decoder(_Said)


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    said = _read(body)
    named = headers.get("x-amzn-errortype") or (said.kind if isinstance(said.kind, str) else "")
    kind, message = _bare(named), _message(said)
    error = MalformedAnswer if status < 400 else _class_of(kind, message, status)
    return _made(error, kind, message, f"the provider answered {status}", status, retry_after_seconds(headers))


def stream_exception(name: str, payload: bytes) -> UpstreamError:
    """An exception frame: `throttlingException`, … The model's own error amid its answer is the stream's failure."""
    kind, message = _bare(name), _message(_read(payload))
    known = kind in _BY_TYPE or kind == "ValidationException"
    error = StreamFailed if kind == "ModelStreamErrorException" or not known else _class_of(kind, message, 400)
    return _made(error, kind, message, "the provider's stream failed", None, None)


def _made(
    error: type[UpstreamError], kind: str, message: str, what: str, status: int | None, retry_after: float | None
) -> UpstreamError:
    # Only what the caller sent can be mended by the caller; the rest speaks of our account and is none of its business.
    shown = redact(message) if issubclass(error, Rejected) else ""
    named = f" ({redact(kind)})" if kind else ""
    return error(shown or f"{what}{named}", upstream_status=status, retry_after_seconds=retry_after)


def _class_of(kind: str, message: str, status: int) -> type[UpstreamError]:
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    error = _BY_STATUS.get(status, ServerFault if status >= 500 else Rejected)
    if error is Rejected:
        return next((found for pattern, found in _BY_MESSAGE if pattern.search(message)), Rejected)
    return error


def _read(body: bytes) -> _Said:
    try:
        return _SAID.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A proxy's page, or nothing: type and status alone have to do, and the page is no message to anyone.
        return _Said()


def _message(said: _Said) -> str:
    return next((text for text in (said.message, said.capital) if isinstance(text, str)), "")


def _bare(name: str) -> str:
    """`com.amazon.coral#ValidationException:http://…` is a ValidationException, and so is `validationException`."""
    bare = name.partition(":")[0].rpartition("#")[2].strip()
    return bare[:1].upper() + bare[1:]
