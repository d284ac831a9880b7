"""How an answer of the Responses API says that it failed, and how we say it. Refusals are those of Chat Completions."""

import msgspec

from sidecar.dialects.openai_chat.errors import decode_error, encode_error
from sidecar.dialects.redact import redact
from sidecar.errors import (
    ContentRefused,
    ContextTooLong,
    GatewayError,
    Rejected,
    ServerFault,
    StreamFailed,
    Throttled,
    UpstreamError,
    code_of,
)

__all__ = ["WireError", "decode_error", "encode_error", "error_object", "failure_of"]


class WireError(msgspec.Struct, frozen=True):
    """`response.error`, and the `error` event of a stream."""

    code: str | None = None
    message: str | None = None
    type: str | None = None


_BY_CODE: dict[str, type[UpstreamError]] = {
    "server_error": ServerFault,
    "vector_store_timeout": ServerFault,
    "rate_limit_exceeded": Throttled,
    "insufficient_quota": Throttled,
    "context_length_exceeded": ContextTooLong,
    "invalid_prompt": Rejected,
    "data_residency_mismatch": Rejected,
    "bio_policy": ContentRefused,
    "misalignment_policy_violation": ContentRefused,
    "image_content_policy_violation": ContentRefused,
    "invalid_image": Rejected,
    "invalid_image_format": Rejected,
    "invalid_base64_image": Rejected,
    "invalid_image_url": Rejected,
    "image_too_large": Rejected,
    "image_too_small": Rejected,
    "image_parse_error": Rejected,
    "invalid_image_mode": Rejected,
    "image_file_too_large": Rejected,
    "unsupported_image_media_type": Rejected,
    "empty_image_file": Rejected,
    "failed_to_download_image": Rejected,
    "image_file_not_found": Rejected,
}
"""openai SDK, `ResponseError.code`; two more that only its error event uses."""


def failure_of(error: WireError | None) -> UpstreamError:
    """An answer that its provider gave up under status 200. A code that we do not know says nothing of the caller."""
    error = error or WireError()
    kind = _BY_CODE.get(error.code or error.type or "", StreamFailed)
    said = redact(error.message) if error.message else "no reason given"
    if issubclass(kind, Rejected):
        return kind(said)
    word = error.code or error.type
    return kind(
        f"the provider broke the answer off: {redact(word)}: {said}"
        if word
        else f"the provider broke the answer off: {said}"
    )


def error_object(error: GatewayError, request_id: str) -> dict[str, object]:
    """`response.error` with our code. The request id stands inside, as in the body of a refusal."""
    shown: dict[str, object] = {"code": code_of(error), "message": error.message}
    if request_id:
        shown["request_id"] = request_id
    return shown
