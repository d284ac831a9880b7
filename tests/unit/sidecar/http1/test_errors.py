"""How a request ends without an answer."""

from sidecar.http1.errors import Lost


def test_what_is_lost_may_have_been_answered_unless_it_is_said_that_it_was_not() -> None:
    assert not Lost("closed").is_unanswered
    assert Lost("closed", is_unanswered=True).is_unanswered
