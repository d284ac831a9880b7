"""What follows an error: a table that knows every class, and one function that reads it."""

import pytest

from sidecar.errors import (
    ConnectionLost,
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    DeadlineExceeded,
    FirstTokenTimeout,
    GatewayError,
    MalformedAnswer,
    ModelGone,
    Overloaded,
    Rejected,
    ServerFault,
    StreamCut,
    StreamFailed,
    StreamStalled,
    Throttled,
    Unreachable,
    UpstreamError,
)
from sidecar.routing.fallback import AFTER, BACKOFF_CAP_SECONDS, Step, backoff_seconds, step_after

SAME, NEXT, STOP = Step.SAME_TARGET, Step.NEXT_TARGET, Step.STOP


def subclasses(kind: type[UpstreamError]) -> set[type[UpstreamError]]:
    return {deeper for child in kind.__subclasses__() for deeper in {child} | subclasses(child)}


@pytest.mark.parametrize("kind", sorted(subclasses(UpstreamError), key=lambda kind: kind.__name__))
def test_every_upstream_error_has_its_row(kind: type[UpstreamError]) -> None:
    assert kind in AFTER


@pytest.mark.parametrize(
    ("error", "with_others", "alone", "tried_twice"),
    [
        (Unreachable("x"), NEXT, SAME, NEXT),
        (ConnectionLost("x"), SAME, SAME, NEXT),
        (Overloaded("x"), SAME, SAME, NEXT),
        (ServerFault("x"), SAME, SAME, NEXT),
        (MalformedAnswer("x"), NEXT, SAME, NEXT),
        (StreamCut("x"), NEXT, SAME, NEXT),
        (StreamFailed("x"), NEXT, SAME, NEXT),
        (StreamStalled("x"), NEXT, NEXT, NEXT),
        (FirstTokenTimeout("x"), NEXT, NEXT, NEXT),
        (Throttled("x"), NEXT, NEXT, NEXT),
        (Throttled("x", retry_after_seconds=2.0), SAME, SAME, NEXT),
        (Throttled("x", retry_after_seconds=2.1), NEXT, NEXT, NEXT),
        (CredentialRefused("x"), NEXT, NEXT, NEXT),
        (ModelGone("x"), NEXT, NEXT, NEXT),
        (ContextTooLong("x"), NEXT, NEXT, NEXT),
        (Rejected("x"), STOP, STOP, STOP),
        (ContentRefused("x"), STOP, STOP, STOP),
        (DeadlineExceeded("x"), STOP, STOP, STOP),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GatewayError) else None,
)
def test_the_next_step(error: GatewayError, with_others: Step, alone: Step, tried_twice: Step) -> None:
    assert step_after(error, bytes_sent=False, tries_left_on_target=1, targets_left=1) is with_others
    assert step_after(error, bytes_sent=False, tries_left_on_target=1, targets_left=0) is alone
    assert step_after(error, bytes_sent=False, tries_left_on_target=0, targets_left=0) is tried_twice
    assert step_after(error, bytes_sent=True, tries_left_on_target=1, targets_left=1) is STOP


@pytest.mark.parametrize(
    ("error", "bytes_sent", "step"),
    [
        (ContentRefused("x"), False, NEXT),
        (ContentRefused("x"), True, STOP),
        (Rejected("x"), False, STOP),
        (Overloaded("x"), False, SAME),
    ],
)
def test_a_use_case_may_say_that_a_refusal_goes_to_the_next_target(
    error: GatewayError, bytes_sent: bool, step: Step
) -> None:
    assert step_after(error, bytes_sent=bytes_sent, tries_left_on_target=1, targets_left=1, after_refusal=NEXT) is step


@pytest.mark.parametrize(("tries", "seconds"), [(1, 0.25), (2, 0.5), (3, 1.0), (5, 4.0), (50, 4.0)])
def test_backoff_doubles_up_to_its_cap(tries: int, seconds: float) -> None:
    assert backoff_seconds(tries, 1.0) == seconds <= BACKOFF_CAP_SECONDS
    assert backoff_seconds(tries, 0.0) == 0.0
