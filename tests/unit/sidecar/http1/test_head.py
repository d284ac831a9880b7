"""The head of a request, byte for byte; nothing that could be read as two requests gets into it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1.head import encode_head
from sidecar.http1.place import place_of

PLACE = place_of("https://api.example/v1/x?a=b%20c")


def test_a_request_says_its_host_the_defaults_and_its_length() -> None:
    head = encode_head("POST", PLACE, {"accept": "*/*", "user-agent": "u"}, {"Accept": "text/html", "X-A": "é\t1"}, 5)
    assert head.decode() == (
        "POST /v1/x?a=b%20c HTTP/1.1\r\nhost: api.example\r\naccept: text/html\r\nuser-agent: u\r\nx-a: é\t1\r\n"
        "content-length: 5\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "length", "framing"),
    [
        ("POST", None, b"transfer-encoding: chunked"),
        ("POST", 0, b"content-length: 0"),
        ("DELETE", 0, b"content-length: 0"),
        ("GET", 0, b""),
        ("HEAD", 0, b""),
        ("GET", 3, b"content-length: 3"),
    ],
)
def test_the_framing_is_the_bodys_own_whatever_headers_say(method: str, length: int | None, framing: bytes) -> None:
    said = {"Content-Length": "77", "Transfer-Encoding": "gzip"}
    lines = encode_head(method, PLACE, {}, said, length).split(b"\r\n")
    found = [line for line in lines if line.startswith((b"content-length", b"transfer-encoding"))]
    assert found == ([framing] if framing else [])


def test_the_user_of_a_url_is_shown_unless_a_header_says_otherwise() -> None:
    place = place_of("http://user:pass@host.example/")
    assert b"\r\nauthorization: Basic dXNlcjpwYXNz\r\n" in encode_head("GET", place, {}, {}, 0)
    head = encode_head("GET", place, {}, {"Authorization": "Bearer k"}, 0)
    assert head.count(b"authorization") == 1
    assert b"\r\nauthorization: Bearer k\r\n" in head


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\r\nx: y", "\x7f", "\x0b", "\ud800"])
def test_what_no_header_can_hold_is_refused_and_not_shown(bad: str) -> None:
    for name, value in (("x-a", f"secret{bad}1"), (f"x{bad}a", "secret"), ("x-é" + bad, "secret")):
        with pytest.raises(ValueError, match=r"header|surrogates") as refused:
            encode_head("POST", PLACE, {}, {name: value}, 0)
        if not isinstance(refused.value, UnicodeError):
            assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["", " x", "x ", "x:", "x y", "ä", "x\ty", "(x)"])
def test_a_name_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="name of a header"):
        encode_head("POST", PLACE, {}, {name: "1"}, 0)


@pytest.mark.parametrize("method", ["", "GET /", "GE\nT", "GÉT"])
def test_a_method_is_a_token(method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        encode_head(method, PLACE, {}, {}, 0)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12), max_size=4))
def test_whatever_is_asked_it_is_one_head_or_refused(headers: dict[str, str]) -> None:
    try:
        head = encode_head("POST", PLACE, {}, headers, 0)
    except ValueError:
        return
    lines = head.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert all(b":" in line for line in lines[1:-2])
    assert head.count(b"\n") == head.count(b"\r") == len(lines) - 1
    assert b"\0" not in head
