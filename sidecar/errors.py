"""The error tree. An error's class says whose fault it is; what happens next is a table (`routing/fallback.py`).

GatewayError                     every error below; `code` is its stable word
├── CallerError                  the caller can mend it; shown to it in its own dialect
│   ├── MalformedRequest 400     ├── Unauthenticated 401   ├── NotAllowed 403     ├── ForeignHost 403
│   ├── UnknownUseCase 404       ├── UnknownTarget 404     ├── UnknownPath 404    ├── WrongMethod 405
│   ├── BodyTooLarge 413         ├── CannotCarry 422       ├── CeilingSpent 402    └── LimitReached 429
├── NotReady                     ours: no rules yet, or shutting down (503)
├── ChainSpent                   every target of the plan failed or was skipped (502, 503, 504)
└── UpstreamError                one attempt failed
    ├── Unreachable              DNS, refused, TLS, connect time-out: nothing was sent
    ├── ConnectionLost           closed or reset before a byte of the answer
    ├── FirstTokenTimeout        no content event in time
    ├── DeadlineExceeded         the whole call's deadline ran out
    ├── Throttled                429
    ├── Overloaded               503, 529
    ├── ServerFault              other 5xx, 408, 409 lock
    ├── CredentialRefused        401, 403: our key is dead
    ├── ModelGone                404: the target does not know the model
    ├── Rejected                 400, 413, 422: another provider would refuse the same body
    │   ├── ContextTooLong       … unless its window is larger
    │   └── ContentRefused       refused for its content by the provider's policy
    ├── MalformedAnswer          not the dialect: HTML, broken JSON, an empty body
    ├── StreamCut                the stream ended without a finish reason
    ├── StreamStalled            silence inside the stream
    ├── StreamFailed             the provider's own error event inside the stream
    └── StreamSlow               content comes more slowly than the use case accepts
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

Uncarried: TypeAlias = Literal[
    "audio",
    "background",
    "choices",
    "conversation",
    "embedding",
    "file",
    "image",
    "output",
    "part",
    "server_tool",
    "state",
    "system",
    "tool",
    "tool_choice",
    "tool_result",
    "video",
]
"""What of a request a dialect has no place for, in one word."""


class GatewayError(Exception):
    """`str(error)` is safe to show to a caller: no key, no prompt, no URL with a query."""

    code: ClassVar[str] = "gateway_error"
    status: int = 500
    """The HTTP status that a caller gets for it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CallerError(GatewayError):
    status = 400


class MalformedRequest(CallerError):
    code = "malformed_request"


class Unauthenticated(CallerError):
    code = "unauthenticated"
    status = 401


class NotAllowed(CallerError):
    code = "not_allowed"
    status = 403


class ForeignHost(CallerError):
    code = "foreign_host"
    status = 403


class UnknownUseCase(CallerError):
    code = "unknown_use_case"
    status = 404


class UnknownTarget(CallerError):
    code = "unknown_target"
    status = 404


class UnknownPath(CallerError):
    code = "unknown_path"
    status = 404


class WrongMethod(CallerError):
    code = "wrong_method"
    status = 405


class BodyTooLarge(CallerError):
    code = "body_too_large"
    status = 413


class CannotCarry(CallerError):
    """Content that the target's dialect has no place for. Content is never dropped silently: the target is skipped."""

    code = "cannot_carry"
    status = 422

    def __init__(self, kind: Uncarried, what: str) -> None:
        super().__init__(f"the request carries {what}, which no target of this use case can take")
        self.what = what
        self.reason = f"{self.code}.{kind}"
        """Why a target is skipped, for plans and records."""


class CeilingSpent(CallerError):
    code = "ceiling_spent"
    status = 402


class LimitReached(CallerError):
    code = "limit_reached"
    status = 429

    def __init__(
        self, message: str, *, rule: str, retry_after_seconds: float | None, headers: Mapping[str, str]
    ) -> None:
        super().__init__(message)
        self.rule = rule
        """Its id: `limit.use_case.chat.requests_per_minute`."""
        self.retry_after_seconds = retry_after_seconds
        """None: the same call would never pass."""
        self.headers = headers
        """For the caller: where it stands, when to come again, and whether to."""


class NotReady(GatewayError):
    code = "not_ready"
    status = 503


class UpstreamError(GatewayError):
    """One attempt failed. `message` is the provider's own where the caller can act on it, else ours."""

    code = "upstream_error"
    status = 502

    def __init__(
        self, message: str, *, upstream_status: int | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.upstream_status = upstream_status
        self.retry_after_seconds = retry_after_seconds


class Unreachable(UpstreamError):
    code = "unreachable"
    status = 503


class ConnectionLost(UpstreamError):
    code = "connection_lost"


class FirstTokenTimeout(UpstreamError):
    code = "first_token_timeout"
    status = 504


class DeadlineExceeded(UpstreamError):
    code = "deadline_exceeded"
    status = 504


class Throttled(UpstreamError):
    code = "throttled"
    status = 503


class Overloaded(UpstreamError):
    code = "overloaded"
    status = 503


class ServerFault(UpstreamError):
    code = "server_fault"


class CredentialRefused(UpstreamError):
    code = "provider_auth"


class ModelGone(UpstreamError):
    code = "provider_model"


class Rejected(UpstreamError):
    code = "rejected"
    status = 400


class ContextTooLong(Rejected):
    code = "context_too_long"


class ContentRefused(Rejected):
    code = "content_refused"


class MalformedAnswer(UpstreamError):
    code = "malformed_answer"


class StreamCut(UpstreamError):
    code = "stream_cut"


class StreamStalled(UpstreamError):
    code = "stream_stalled"
    status = 504


class StreamFailed(UpstreamError):
    code = "stream_failed"


class StreamSlow(UpstreamError):
    code = "stream_slow"
    status = 504


class BelowBar(GatewayError):
    """The answer fails a check of its use case's quality bar, whose rule says to refuse it."""

    code = "below_bar"
    status = 502


class ChainSpent(GatewayError):
    """No target answered. Status and code are those of the error that says most about why."""

    def __init__(self, message: str, *, status: int, code: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = code
        self.retry_after_seconds = retry_after_seconds


def code_of(error: GatewayError) -> str:
    """The word that callers, records and metrics see."""
    return error.reason if isinstance(error, ChainSpent) else error.code
