"""Refusals of the Messages API to our error classes, and our errors in its shape (platform.claude.com, "Errors";
anthropic SDK, `types/shared/error_type`).
"""

from collections.abc import Mapping

import msgspec

from sidecar.dialects.redact import redact
from sidecar.dialects.retry_after import retry_after_seconds
from sidecar.errors import (
    ContentRefused,
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
    # The account cannot pay: to us it is as dead as one with a bad key.
    402: CredentialRefused,
    403: CredentialRefused,
    404: ModelGone,
    408: ServerFault,
    409: ServerFault,
    413: Rejected,
    422: Rejected,
    429: Throttled,
    503: Overloaded,
    529: Overloaded,
}
_BY_TYPE: dict[str, type[UpstreamError]] = {"billing_error": CredentialRefused, "overloaded_error": Overloaded}
"""Types that say more than their status does."""

_BY_START: tuple[tuple[str, type[UpstreamError]], ...] = (
    ("prompt is too long", ContextTooLong),
    ("input length and `max_tokens` exceed context limit", ContextTooLong),
    ("Output blocked by content filtering policy", ContentRefused),
    ("Your credit balance is too low", CredentialRefused),
)
"""An `invalid_request_error` is told apart by nothing but how its message begins."""

_TYPES: dict[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Refusal(msgspec.Struct, frozen=True):
    type: str = ""
    message: str = ""


class _Body(msgspec.Struct, frozen=True):
    error: _Refusal


_BODY = msgspec.json.Decoder(_Body)


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    try:
        refusal = _BODY.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A proxy's page, or nothing: the status alone has to do, and the page is no message to anyone.
        refusal = _Refusal()
    error = _class_of(status, refusal)
    # Only what the caller sent can be mended by the caller; the rest speaks of our account and is none of its business.
    message = redact(refusal.message) if issubclass(error, Rejected) else ""
    said = f" ({refusal.type})" if refusal.type else ""
    return error(
        message or f"the provider answered {status}{redact(said)}",
        upstream_status=status,
        retry_after_seconds=retry_after_seconds(headers),
    )


def _class_of(status: int, refusal: _Refusal) -> type[UpstreamError]:
    if status < 400:
        return MalformedAnswer
    if refusal.type == "invalid_request_error":
        for start, error in _BY_START:
            if refusal.message.startswith(start):
                return error
    if refusal.type in _BY_TYPE:
        return _BY_TYPE[refusal.type]
    return _BY_STATUS.get(status, ServerFault if status >= 500 else Rejected)


class _Details(msgspec.Struct, frozen=True):
    error_code: str


class _ErrorOut(msgspec.Struct, frozen=True):
    type: str
    message: str
    code: str
    details: _Details
    """Where the vendor's SDKs look for a stable code (anthropic SDK, `APIStatusError.error_code`)."""


class _BodyOut(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    error: _ErrorOut
    request_id: str | None


def encode_error(error: GatewayError, request_id: str) -> bytes:
    kind = _TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    code = code_of(error)
    return msgspec.json.encode(_BodyOut(_ErrorOut(kind, error.message, code, _Details(code)), request_id or None))


def encode_stream_error(error: GatewayError, request_id: str) -> bytes:
    return encode_event(encode_error(error, request_id), "error")
