"""A stream that is looked at when it has ended: what the caller gets is what it would have got."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.record import Usage
from sidecar.canonical.request import Text
from sidecar.core.watched import Watched
from sidecar.dialects.openai_chat import OPENAI_CHAT
from tests.fakes import core_wire as wire

WHOLE = wire.OPENING + wire.CONTENT + wire.FINISH + wire.USAGE + wire.DONE


def price_of(usage: Usage) -> Decimal | None:
    return Decimal("0.0001")


def watched() -> Watched:
    return Watched(OPENAI_CHAT.new_tap(True, price_of), OPENAI_CHAT.new_decoder())


@given(st.lists(st.binary(max_size=80) | st.sampled_from([WHOLE, wire.CONTENT, wire.FINISH, wire.DONE]), max_size=6))
def test_any_bytes_are_passed_on_as_the_tap_alone_would(pieces: list[bytes]) -> None:
    tap, beside = OPENAI_CHAT.new_tap(True, price_of), watched()
    for piece in pieces:
        assert beside.feed(piece) == tap.feed(piece)
    assert beside.finish() == tap.finish()
    assert (beside.finished, beside.usage, beside.content_seen) == (tap.finished, tap.usage, tap.content_seen)
    beside.answer()


def test_a_whole_stream_is_an_answer() -> None:
    stream = watched()
    stream.feed(WHOLE)
    stream.finish()
    answer = stream.answer()
    assert answer is not None
    assert any(isinstance(part, Text) for part in answer.choices[0].parts)


@pytest.mark.parametrize("data", [b"", wire.OPENING, wire.OPENING + wire.CONTENT, wire.OPENING + wire.ERROR_EVENT])
def test_what_is_not_whole_is_none(data: bytes) -> None:
    stream = watched()
    stream.feed(data)
    stream.finish()
    assert stream.answer() is None


def test_one_that_is_too_long_to_be_kept_is_passed_on_and_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.core.watched.MAX_BYTES", len(WHOLE) - 1)
    stream = watched()
    assert stream.feed(WHOLE) + stream.finish() == _alone(WHOLE)
    assert stream.answer() is None


def _alone(data: bytes) -> bytes:
    tap = OPENAI_CHAT.new_tap(True, price_of)
    return tap.feed(data) + tap.finish()
