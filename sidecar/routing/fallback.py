"""After an error: the same target again, the next target, or stop. One table, one function that reads it."""

from enum import Enum, auto

from sidecar.errors import (
    ConnectionLost,
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    DeadlineExceeded,
    FirstTokenTimeout,
    MalformedAnswer,
    ModelGone,
    Overloaded,
    Rejected,
    ServerFault,
    StreamCut,
    StreamFailed,
    StreamSlow,
    StreamStalled,
    Throttled,
    Unreachable,
    UpstreamError,
)

SHORT_WAIT_SECONDS = 2.0
"""A Retry-After up to this is worth waiting out on the same target, which may hold the prompt's cache."""

BACKOFF_SECONDS, BACKOFF_CAP_SECONDS = 0.25, 4.0


class Step(Enum):
    SAME_TARGET = auto()
    NEXT_TARGET = auto()
    STOP = auto()


AFTER: dict[type[UpstreamError], Step] = {
    # Nothing was sent, so any target is safe; the next one is likelier to be up.
    Unreachable: Step.NEXT_TARGET,
    ConnectionLost: Step.SAME_TARGET,
    Overloaded: Step.SAME_TARGET,
    ServerFault: Step.SAME_TARGET,
    MalformedAnswer: Step.NEXT_TARGET,
    FirstTokenTimeout: Step.NEXT_TARGET,
    StreamStalled: Step.NEXT_TARGET,
    StreamCut: Step.NEXT_TARGET,
    StreamFailed: Step.NEXT_TARGET,
    StreamSlow: Step.NEXT_TARGET,
    Throttled: Step.NEXT_TARGET,  # unless its Retry-After is short
    CredentialRefused: Step.NEXT_TARGET,
    ModelGone: Step.NEXT_TARGET,
    ContextTooLong: Step.NEXT_TARGET,  # with a larger window: `plan.is_outgrown`
    Rejected: Step.STOP,  # the next provider would refuse the same body
    ContentRefused: Step.STOP,  # unless the use case says otherwise
    DeadlineExceeded: Step.STOP,
}


RETRIED_WHEN_ALONE = frozenset({Unreachable, MalformedAnswer, StreamCut, StreamFailed})
"""With no next target left, these are worth one more try on the same one: they tend to pass."""


def step_after(
    error: UpstreamError,
    *,
    bytes_sent: bool,
    tries_left_on_target: int,
    targets_left: int,
    after_refusal: Step = Step.STOP,
) -> Step:
    """Once the caller has seen a byte, another target would answer twice.

    Args:
        after_refusal: the use case's word on what follows when a provider refuses the content.
    """
    if bytes_sent:
        return Step.STOP
    step = after_refusal if isinstance(error, ContentRefused) else AFTER[type(error)]
    if isinstance(error, Throttled) and error.retry_after_seconds is not None:
        step = Step.SAME_TARGET if error.retry_after_seconds <= SHORT_WAIT_SECONDS else Step.NEXT_TARGET
    if step is Step.NEXT_TARGET and not targets_left and type(error) in RETRIED_WHEN_ALONE:
        step = Step.SAME_TARGET
    if step is Step.SAME_TARGET and tries_left_on_target <= 0:
        return Step.NEXT_TARGET
    return step


def backoff_seconds(tries: int, jitter: float) -> float:
    """Full jitter: `jitter` is drawn from 0 to 1; `tries` counts those already made on this target, from 1."""
    bounded: float = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2.0 ** (tries - 1))
    return bounded * jitter
