"""Where conversations are: what tells them apart, and how long it is remembered where one was answered."""

import pytest

from sidecar.routing import conversations
from sidecar.routing.conversations import IDLE_SECONDS, STAY_SECONDS, Conversations, conversation_key


def test_what_the_caller_calls_it_goes_before_what_the_body_tells_and_that_before_the_call() -> None:
    named = conversation_key(named="c-1", beginning=b"hello", call="pm-1")
    told = conversation_key(named=None, beginning=b"hello", call="pm-1")
    alone = conversation_key(named=None, beginning=b"", call="pm-1")
    assert named == conversation_key(named="c-1", beginning=b"else", call="pm-2")
    assert told == conversation_key(named="", beginning=b"hello", call="pm-2")
    assert alone != conversation_key(named=None, beginning=b"", call="pm-2")
    assert len({named, told, alone}) == 3


def test_a_name_is_not_the_beginning_that_reads_the_same() -> None:
    assert conversation_key(named="x") != conversation_key(named=None, beginning=b"x")
    assert conversation_key(named=None, beginning=b"x") != conversation_key(named=None, call="x")


def test_every_sidecar_of_every_version_has_the_same_key() -> None:
    """A change here moves every conversation of every experiment that runs."""
    assert conversation_key(named="c-1") == "9070be8bfa90a9dd419b5914f338891d"


def test_a_name_may_be_any_bytes_that_a_header_holds() -> None:
    assert conversation_key(named="caf\udce9") != conversation_key(named="cafe")


def test_a_conversation_is_where_it_was_answered_last() -> None:
    kept = Conversations()
    kept.note("chat", "c", "alpha@one", 0.0)
    kept.note("chat", "c", "beta@two", 1.0)
    assert kept.target_of("chat", "c", 2.0) == "beta@two"
    assert kept.target_of("other", "c", 2.0) is None
    assert kept.target_of("chat", "d", 2.0) is None


@pytest.mark.parametrize(
    ("answers", "asked", "expected"),
    [
        ([0.0], IDLE_SECONDS, "alpha@one"),
        ([0.0], IDLE_SECONDS + 1, None),
        ([0.0, 500.0], IDLE_SECONDS + 1, "alpha@one"),
        ([at * 500.0 for at in range(8)], STAY_SECONDS, "alpha@one"),
        ([at * 500.0 for at in range(8)], STAY_SECONDS + 1, None),
        # It came back to the same target by the plan's own choice: a new stay.
        ([at * 500.0 for at in range(9)], STAY_SECONDS + 401, "alpha@one"),
    ],
)
def test_it_is_remembered_as_long_as_a_prompt_cache_lives(
    answers: list[float], asked: float, expected: str | None
) -> None:
    kept = Conversations()
    for at in answers:
        kept.note("chat", "c", "alpha@one", at)
    assert kept.target_of("chat", "c", asked) == expected


def test_a_conversation_that_moves_begins_a_new_stay() -> None:
    kept = Conversations()
    for at, target in ((0.0, "a"), (500.0, "a"), (1000.0, "b")):
        kept.note("chat", "c", target, at)
    for at in range(1500, 4501, 500):
        kept.note("chat", "c", "b", float(at))
    assert kept.target_of("chat", "c", 1000.0 + STAY_SECONDS) == "b"


def test_the_one_that_was_quiet_for_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "KEPT", 2)
    kept = Conversations()
    for conversation in ("a", "b", "a", "c"):
        kept.note("chat", conversation, "t", 0.0)
    assert [kept.target_of("chat", conversation, 0.0) for conversation in "abc"] == ["t", None, "t"]
