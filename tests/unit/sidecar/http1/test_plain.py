"""What is plain, and what is left to a server that knows all of HTTP."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.http1.plain import PlainHead, read_plain

FIRST = b"POST /v1/messages HTTP/1.1\r\n"
LENGTH = b"content-length: 2"


def test_a_plain_head_is_read_as_it_stands() -> None:
    head = b'POST /a%20b/c?x=1&y=? HTTP/1.1\r\nHost:a\r\nX-Long:  a "b" c  \r\nX-Empty:\r\nContent-Length: 12'
    headers = {"host": "a", "x-long": 'a "b" c', "x-empty": "", "content-length": "12"}
    assert read_plain(head) == PlainHead("/a%20b/c", "x=1&y=?", headers, 12, True)


@pytest.mark.parametrize(("said", "is_kept"), [(b"close", False), (b"Close", False), (b"Keep-Alive", True)])
def test_whether_the_connection_is_used_again(said: bytes, is_kept: bool) -> None:
    head = read_plain(FIRST + LENGTH + b"\r\nConnection: " + said)
    assert head is not None
    assert head.is_kept is is_kept


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/messages HTTP/1.1\r\n" + LENGTH,
        b"post /v1/messages HTTP/1.1\r\n" + LENGTH,
        b"POST /v1/messages HTTP/1.0\r\n" + LENGTH,
        b"POST /v1/messages HTTP/2.0\r\n" + LENGTH,
        b"POST  /v1/messages HTTP/1.1\r\n" + LENGTH,
        b"POST /v1/mess ages HTTP/1.1\r\n" + LENGTH,
        b"POST /v1/messages#x HTTP/1.1\r\n" + LENGTH,
        b"POST http://host/v1/messages HTTP/1.1\r\n" + LENGTH,
        b"POST * HTTP/1.1\r\n" + LENGTH,
        b"\r\n" + FIRST + LENGTH,
        b"POST /v1/messages HTTP/1.1",
        FIRST + b"host: a",
        FIRST + b"content-length: 2\r\nContent-Length: 2",
        FIRST + b"content-length: 2, 2",
        FIRST + b"content-length: +2",
        FIRST + b"content-length: -2",
        FIRST + b"content-length: 0x2",
        FIRST + b"content-length: 2_0",
        FIRST + b"content-length: 2 0",
        FIRST + b"content-length:",
        FIRST + b"content-length: " + b"9" * 16,
        FIRST + b"content-length : 2",
        FIRST + b" content-length: 2",
        FIRST + LENGTH + b"\r\nhost: a\r\nhost: b",
        FIRST + LENGTH + b"\r\nhost: a\r\n folded",
        FIRST + LENGTH + b"\r\nhost: a\r\n\tfolded",
        FIRST + LENGTH + b"\r\nno colon",
        FIRST + LENGTH + b"\r\nnocolon",
        FIRST + LENGTH + b"\r\n: nameless",
        FIRST + LENGTH + b"\r\nx: a\nb: c",
        FIRST + LENGTH + b"\r\nx: a\rb: c",
        FIRST + LENGTH + b"\r\nx: a\0b",
        FIRST + LENGTH + b"\r\nx: a\tb",
        FIRST + LENGTH + b"\r\nx: a\x7fb",
        FIRST + LENGTH + b"\r\nx: \xc3\xa9",
        FIRST + LENGTH + b"\r\nx\xc3\xa9: a",
        FIRST + LENGTH + b"\r\ntransfer-encoding: chunked",
        FIRST + LENGTH + b"\r\nTransfer-Encoding: identity",
        FIRST + LENGTH + b"\r\ncontent-encoding: gzip",
        FIRST + LENGTH + b"\r\nexpect: 100-continue",
        FIRST + LENGTH + b"\r\nupgrade: h2c\r\nconnection: upgrade",
        FIRST + LENGTH + b"\r\nconnection: close, te",
        b"",
    ],
)
def test_what_can_be_read_in_two_ways_or_asks_for_more_is_not_plain(head: bytes) -> None:
    assert read_plain(head) is None


@given(st.binary(max_size=60))
@example(b"\x85x: y")
@example(b"\x1cx: y")
def test_no_bytes_in_a_line_hide_a_second_one(junk: bytes) -> None:
    """Python knows more ends of a line than HTTP does; here one line stays one."""
    head = read_plain(FIRST + LENGTH + b"\r\nx: " + junk)
    if head is not None:
        assert b"\n" not in junk.replace(b"\r\n", b"")
        lines = junk.split(b"\r\n")
        assert head.headers["x"] == lines[0].decode().strip(" ")
        assert len(head.headers) == 1 + len(lines)
