"""What a caller reads when a call gets no answer: the status, the words, and the headers that go with them."""

from collections.abc import Mapping

from sidecar.core.call import Call
from sidecar.errors import CannotCarry, ChainSpent, GatewayError, LimitReached, Rejected, UpstreamError

LIMIT = "limit."
"""How the reasons of targets begin whose provider or model is at a limit."""


def status_of(error: GatewayError) -> int:
    """What the caller can act on keeps the provider's own status; everything else has ours."""
    if isinstance(error, Rejected) and error.upstream_status in (400, 413, 422):
        return error.upstream_status
    return error.status


def chain_spent(call: Call, last: GatewayError) -> GatewayError:
    """What a caller reads when every target has failed: who was asked and how each ended, and who was not and why."""
    tried = [f"{attempt.model}@{attempt.provider}: {attempt.outcome}" for attempt in call.attempts]
    passed_over = [f"{item.model}@{item.provider}: {item.reason}" for item in call.skipped]
    trail = ", ".join([*tried, *passed_over])
    return ChainSpent(
        f'no model of use case "{call.plan.use_case.name}" answered ({trail}); last: {last.message}',
        status=status_of(last),
        code=last.code,
        retry_after_seconds=last.retry_after_seconds if isinstance(last, UpstreamError) else None,
    )


def nobody_fits(call: Call, rest_seconds: float | None, unable: CannotCarry | None = None) -> GatewayError:
    """What a caller reads when nobody was asked.

    Args:
        rest_seconds: until the first of the targets that rest may be tried again.
        unable: what the last target that could have been asked has no place for.
    """
    skipped = (*call.plan.skipped, *call.skipped)
    reasons = ", ".join(f"{item.model}@{item.provider}: {item.reason}" for item in skipped)
    message = f'no model of use case "{call.plan.use_case.name}" can take this call ({reasons})'
    limit = next((item.reason for item in skipped if item.reason.startswith(LIMIT)), None)
    if limit is not None:
        return ChainSpent(message, status=429, code=limit, retry_after_seconds=rest_seconds or 1.0)
    resting = next((item.reason for item in skipped if item.reason in ("breaker_open", "throttled", "down")), None)
    if resting is not None:
        return ChainSpent(message, status=503, code=resting, retry_after_seconds=rest_seconds)
    return unable or ChainSpent(message, status=422, code=skipped[0].reason if skipped else "no_target")


def error_headers(error: GatewayError) -> Mapping[str, str]:
    """Headers that every error of this kind carries."""
    if isinstance(error, UpstreamError | ChainSpent) and error.retry_after_seconds is not None:
        return {"retry-after": str(max(1, round(error.retry_after_seconds)))}
    return error.headers if isinstance(error, LimitReached) else {}
