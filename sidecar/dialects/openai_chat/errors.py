"""Refusals of OpenAI-style servers to our error tree, and our errors in OpenAI's shape.

Statuses and codes: https://platform.openai.com/docs/guides/error-codes; other words are each named with their server.
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

_BY_WORD: dict[str, type[UpstreamError]] = {
    "context_length_exceeded": ContextTooLong,
    "exceed_context_size_error": ContextTooLong,  # llama.cpp
    "content_filter": ContentRefused,  # Azure OpenAI
    "content_policy_violation": ContentRefused,
    "model_not_found": ModelGone,
    "invalid_api_key": CredentialRefused,
    "insufficient_quota": Throttled,
    "credit_balance_exhausted": Throttled,
    "billing_hard_limit_reached": Throttled,
    "rate_limit_exceeded": Throttled,
}
"""An error's `code` or `type`, where it says more than the status."""

_NEVER_CLEARS_SOON = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"})
"""Waiting does not help: money does."""

_BY_STATUS: dict[int, type[UpstreamError]] = {
    400: Rejected,
    401: CredentialRefused,
    402: Throttled,  # DeepSeek, OpenRouter, Together: the account is out of money
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

_CONTEXT_MESSAGE = re.compile(r"maximum context length", re.IGNORECASE)
"""vLLM and DeepSeek say it in words alone: their code is that of any other bad request."""


class _Said(msgspec.Struct):
    """What can be read of an error's body, whoever wrote it."""

    message: str = ""
    words: tuple[str, ...] = ()


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    said = _read(body)
    kind = _kind(status, said)
    shown = redact(said.message) if issubclass(kind, Rejected) and said.message else _ours(status, said)
    waits = status != 402 and not _NEVER_CLEARS_SOON.intersection(said.words)
    return kind(shown, upstream_status=status, retry_after_seconds=retry_after_seconds(headers) if waits else None)


def _kind(status: int, said: _Said) -> type[UpstreamError]:
    if 400 <= status < 500:
        for word in said.words:
            if word in _BY_WORD:
                return _BY_WORD[word]
        if status in (400, 413, 422) and _CONTEXT_MESSAGE.search(said.message):
            return ContextTooLong
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServerFault
    return Rejected if status >= 400 else MalformedAnswer


_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}")


def _ours(status: int, said: _Said) -> str:
    words = [word for word in said.words if _WORD.fullmatch(word)]
    return f"the provider answered {status}" + (f" ({redact(words[0])})" if words else "")


def _read(body: bytes) -> _Said:
    """OpenAI's `{"error": {…}}`; also `{"error": "…"}`, a bare `{"message": …}` and FastAPI's `{"detail": "…"}`."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Said()
    if not isinstance(document, dict):
        return _Said()
    error = document.get("error") or document
    if isinstance(error, str):
        return _Said(message=error)
    if not isinstance(error, dict):
        return _Said()
    inner = error.get("innererror")
    words = (error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, dict) else None)
    messages = (error.get("message"), error.get("detail"))
    return _Said(
        message=next((message for message in messages if isinstance(message, str)), ""),
        words=tuple(word for word in words if isinstance(word, str)),
    )


_TYPES: dict[int, str] = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


def _error_object(error: GatewayError, request_id: str | None) -> dict[str, object]:
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    shown: dict[str, object] = {"message": error.message, "type": kind, "param": None, "code": code_of(error)}
    if request_id:
        shown["request_id"] = request_id
    return {"error": shown}


def encode_error(error: GatewayError, request_id: str) -> bytes:
    """OpenAI's error body. The request id stands inside `error`, where the SDKs' `body` shows it."""
    return msgspec.json.encode(_error_object(error, request_id))


def encode_stream_error(error: GatewayError, request_id: str) -> bytes:
    """The event that the SDKs raise as an APIError. No `[DONE]` follows it."""
    return encode_event(msgspec.json.encode(_error_object(error, request_id)))
