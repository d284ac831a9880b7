"""Refusals of Google's APIs to our error classes, and our errors in its shape (google.rpc.Status: cloud.google.com,
"API design guide", errors; ai.google.dev, "Troubleshooting").
"""

import re
from collections.abc import Mapping

import msgspec

from sidecar.dialects.redact import redact
from sidecar.dialects.retry_after import retry_after_seconds
from sidecar.errors import (
    ChainSpent,
    ContextTooLong,
    CredentialRefused,
    GatewayError,
    MalformedAnswer,
    ModelGone,
    Overloaded,
    Rejected,
    ServerFault,
    Throttled,
    UpstreamError,
    code_of,
)
from sidecar.sse import encode_event

_BY_STATUS: dict[int, type[UpstreamError]] = {
    400: Rejected,
    401: CredentialRefused,
    403: CredentialRefused,
    404: ModelGone,
    408: ServerFault,
    409: ServerFault,
    413: Rejected,
    422: Rejected,
    429: Throttled,
    499: ServerFault,
    503: Overloaded,
}
_BY_WORD: dict[str, type[UpstreamError]] = {
    "UNAUTHENTICATED": CredentialRefused,
    "PERMISSION_DENIED": CredentialRefused,
    # "Troubleshooting": the account's country needs billing. Nothing that a caller could mend.
    "FAILED_PRECONDITION": CredentialRefused,
    "NOT_FOUND": ModelGone,
    "RESOURCE_EXHAUSTED": Throttled,
    "UNAVAILABLE": Overloaded,
    "INTERNAL": ServerFault,
    "DEADLINE_EXCEEDED": ServerFault,
    "ABORTED": ServerFault,
    "CANCELLED": ServerFault,
    "UNKNOWN": ServerFault,
}
"""google.rpc.Code, where a word says more than the HTTP status beside it."""

_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "API_KEY_EXPIRED"})
"""ErrorInfo's reason: a bad key comes as status 400, like any bad request (googleapis, `google/api/error_reason`)."""

_BAD_KEY = re.compile(r"API key (?:not valid|not found|expired)", re.IGNORECASE)
_TOO_LONG = re.compile(r"exceeds the maximum number of (?:input )?tokens", re.IGNORECASE)
"""Told apart from any other bad request by its message alone."""

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")
"""google.protobuf.Duration in JSON."""


class Detail(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="@type", default="")
    reason: object = None
    retry_delay: object = msgspec.field(name="retryDelay", default=None)


class Said(msgspec.Struct, frozen=True):
    """google.rpc.Status, as far as it is read."""

    code: object = None
    message: str = ""
    status: str = ""
    details: list[Detail] = []


class _Body(msgspec.Struct, frozen=True):
    error: Said


_BODY: msgspec.json.Decoder[_Body | list[_Body]] = msgspec.json.Decoder(_Body | list[_Body])


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    said = _read(body)
    kind = _kind(status, said)
    # Only what the caller sent can be mended by the caller; the rest speaks of our account and is none of its business.
    message = redact(said.message) if issubclass(kind, Rejected) else ""
    word = f" ({redact(said.status)})" if said.status else ""
    seconds = _retry_delay(said)
    return kind(
        message or f"the provider answered {status}{word}",
        upstream_status=status,
        retry_after_seconds=retry_after_seconds(headers) if seconds is None else seconds,
    )


def _read(body: bytes) -> Said:
    """A stream that is asked for as JSON is refused with an array of one (google-genai, `APIError`)."""
    try:
        document = _BODY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A proxy's page, or nothing: the status alone has to do, and the page is no message to anyone.
        return Said()
    if isinstance(document, list):
        return document[0].error if document else Said()
    return document.error


def _kind(status: int, said: Said) -> type[UpstreamError]:
    if status < 400:
        return MalformedAnswer
    if any(detail.reason in _KEY_REASONS for detail in said.details if isinstance(detail.reason, str)):
        return CredentialRefused
    if status in (400, 413, 422) and _BAD_KEY.match(said.message):
        return CredentialRefused
    if status in (400, 413, 422) and _TOO_LONG.search(said.message):
        return ContextTooLong
    if said.status in _BY_WORD:
        return _BY_WORD[said.status]
    return _BY_STATUS.get(status, ServerFault if status >= 500 else Rejected)


def _retry_delay(said: Said) -> float | None:
    """RetryInfo stands in the body; Google sends no Retry-After header with it."""
    for detail in said.details:
        if isinstance(detail.retry_delay, str) and (found := _DURATION.fullmatch(detail.retry_delay)):
            return float(found[1])
    return None


_WORDS: dict[int, str] = {
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_TYPE = "type.googleapis.com/google.rpc."


def encode_error(error: GatewayError, request_id: str) -> bytes:
    """Our code is ErrorInfo's reason, and the request id stands in RequestInfo (googleapis, `rpc/error_details`)."""
    details: list[dict[str, object]] = [{"@type": f"{_TYPE}ErrorInfo", "reason": code_of(error), "domain": "pointsman"}]
    if request_id:
        details.append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    seconds = error.retry_after_seconds if isinstance(error, ChainSpent | UpstreamError) else None
    if seconds is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"})
    word = _WORDS.get(error.status, "INVALID_ARGUMENT" if error.status < 500 else "INTERNAL")
    said = {"code": error.status, "message": error.message, "status": word, "details": details}
    return msgspec.json.encode({"error": said})


def encode_stream_error(error: GatewayError, request_id: str) -> bytes:
    """An event like any other, with `error` in place of candidates."""
    return encode_event(encode_error(error, request_id))
