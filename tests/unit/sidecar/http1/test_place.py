"""A URL as a connection and a request line need it."""

import pytest

from sidecar.http1.place import Origin, place_of


@pytest.mark.parametrize(
    ("url", "origin", "target", "host"),
    [
        ("https://api.example/v1/x", Origin("api.example", 443, True), "/v1/x", "api.example"),
        ("http://api.example", Origin("api.example", 80, False), "/", "api.example"),
        (
            "http://api.example:8080/a b?q=ü#f",
            Origin("api.example", 8080, False),
            "/a%20b?q=%C3%BC",
            "api.example:8080",
        ),
        ("https://api.example:80/", Origin("api.example", 80, True), "/", "api.example:80"),
        ("http://[::1]:11434/v1", Origin("::1", 11434, False), "/v1", "[::1]:11434"),
        ("http://[::1]/v1", Origin("::1", 80, False), "/v1", "[::1]"),
        ("https://bücher.example/", Origin("xn--bcher-kva.example", 443, True), "/", "xn--bcher-kva.example"),
        ("https://api.example./", Origin("api.example.", 443, True), "/", "api.example"),
        ("HTTP://API.Example/x", Origin("api.example", 80, False), "/x", "api.example"),
    ],
)
def test_where_a_url_leads(url: str, origin: Origin, target: str, host: str) -> None:
    place = place_of(url)
    assert (place.origin, place.target, place.host, place.authorization) == (origin, target, host, None)


@pytest.mark.parametrize("url", ["", "api.example", "ftp://api.example/", "https:///x", "http://h:99999/", "/v1"])
def test_what_is_no_url_of_a_host_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        place_of(url)


def test_a_line_break_in_a_path_is_never_one_on_the_wire() -> None:
    place = place_of("http://h.example/a\r\nx: y")
    assert "\r" not in place.target
    assert "\n" not in place.target
