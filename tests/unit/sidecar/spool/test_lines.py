"""A spool line: what is written is read again, and what is damaged is told from what is whole."""

from hypothesis import assume, given
from hypothesis import strategies as st

from sidecar.spool.lines import Line, decode_lines, encode_line
from tests.fakes.records import begun, record

FIRST = encode_line(b"b", begun("a"))
SECOND = encode_line(b"f", record("a"))
BOTH = FIRST + SECOND


def test_lines_come_back_with_their_place() -> None:
    first, second = decode_lines(BOTH)
    assert isinstance(first, Line)
    assert isinstance(second, Line)
    assert (first.kind, first.end, first.record()) == (b"b", len(FIRST), begun("a"))
    assert (second.kind, second.end, second.record()) == (b"f", len(BOTH), record("a"))


def test_reading_can_begin_behind_any_line() -> None:
    assert [line.record() for line in decode_lines(BOTH, len(FIRST)) if isinstance(line, Line)] == [record("a")]


def test_a_tail_that_is_torn_anywhere_is_not_a_line() -> None:
    for cut in range(len(BOTH)):
        whole = [line for line in decode_lines(BOTH[:cut]) if isinstance(line, Line)]
        assert len(whole) == (cut >= len(FIRST)), cut


@given(st.integers(0, len(FIRST) - 2), st.integers(1, 255))
def test_one_wrong_byte_costs_at_most_the_lines_that_it_touches(place: int, flip: int) -> None:
    assume(place != len(b"checksum"))  # the blank behind it says nothing
    damaged = bytearray(BOTH)
    damaged[place] ^= flip
    found = list(decode_lines(bytes(damaged)))
    assert isinstance(found[-1], Line)
    assert found[-1].record() == record("a")
    assert not any(isinstance(line, Line) for line in found[:-1])


@given(st.binary(max_size=300))
def test_any_bytes_are_read_to_their_last_line_end(data: bytes) -> None:
    ends = [line.end if isinstance(line, Line) else line for line in decode_lines(data)]
    assert ends == [place + 1 for place, byte in enumerate(data) if byte == 0x0A]
