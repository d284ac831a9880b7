"""Requests that no SDK would send, and some that one would: each gets a clear error, and nothing breaks."""

import gzip
import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import openai
import pytest

from tests.fakes import bundles, wire
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.fakes.wire import Reply

HELLO = [{"role": "user", "content": "Hello"}]
GOOD: dict[str, Any] = {"model": "support", "max_tokens": 50, "messages": HELLO}
MEGABYTE = 1 << 20
MAX_BODY = 32 * MEGABYTE


@dataclass(frozen=True)
class Door:
    """One dialect's path into a sidecar."""

    dialect: str
    sidecar: SidecarProcess

    @property
    def path(self) -> str:
        return {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[self.dialect]

    @property
    def headers(self) -> dict[str, str]:
        return {"anthropic-version": "2023-06-01"} if self.dialect == "anthropic" else {}

    def post(self, body: Any, headers: dict[str, str] | None = None) -> Reply:
        return wire.post(self.sidecar.url + self.path, body, self.headers | (headers or {}))

    def assert_says(self, reply: Reply, status: int, code: str, words: str) -> None:
        """The dialect's own error shape, with our word in it and a message that helps."""
        assert reply.status == status, reply.body
        assert reply.headers["content-type"].startswith("application/json")
        assert reply.headers["x-pointsman-request-id"].startswith("pm-")
        error = reply.json["error"]
        assert error["code"] == code
        assert words in error["message"]
        assert isinstance(error["type"], str)
        if self.dialect == "anthropic":
            assert reply.json["type"] == "error"
            assert reply.json["request_id"] == reply.headers["x-pointsman-request-id"]
        else:
            assert "param" in error


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, start_simulator: StartSimulator) -> SidecarProcess:
    """Either dialect can be asked for; the model behind speaks OpenAI's."""
    rules = bundles.bundle(
        {"alpha": bundles.provider("openai", start_simulator("alpha").url)},
        {"o-model": bundles.model("alpha", name="o-1")},
        {"support": bundles.use_case("o-model"), "coding": bundles.use_case("o-model")},
    )
    return start_sidecar(rules)


@pytest.fixture(params=["openai", "anthropic"])
def door(request: pytest.FixtureRequest, sidecar: SidecarProcess) -> Iterator[Door]:
    """After each test the sidecar still answers, and has nothing in its log that is a bug."""
    door, said = Door(request.param, sidecar), len(sidecar.stderr())
    yield door
    assert door.post(GOOD).status == 200
    assert "Traceback" not in sidecar.stderr()[said:]
    assert sidecar.child.is_running()


NESTED = b'{"model": "support", "max_tokens": 5, "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b'{"model": "support", "messages": [', "JSON", id="half a JSON"),
        pytest.param(b"model=support", "JSON", id="a form"),
        pytest.param(b"[1, 2, 3]", "JSON object", id="an array"),
        pytest.param(b'"support"', "JSON object", id="a string"),
        pytest.param(b"null", "JSON object", id="null"),
        pytest.param(b"", "JSON object", id="no body"),
        pytest.param(b"\xff\xfe\x00{", "JSON", id="UTF-16"),
        pytest.param(NESTED, "", id="nested 100000 deep"),
        pytest.param({**GOOD, "messages": []}, "messages", id="no messages"),
        pytest.param({**GOOD, "messages": "Hello"}, "messages", id="messages is a string"),
        pytest.param({"model": "support", "max_tokens": 5}, "messages", id="messages is missing"),
        pytest.param({**GOOD, "model": 7}, "model", id="model is a number"),
        pytest.param({"messages": HELLO, "max_tokens": 5}, "model", id="model is missing"),
        pytest.param({**GOOD, "stream": "yes"}, "stream", id="stream is a string"),
        pytest.param({**GOOD, "max_tokens": "many"}, "max_tokens", id="max_tokens is a string"),
        pytest.param({**GOOD, "max_tokens": -1}, "max_tokens", id="max_tokens is negative"),
    ],
)  # fmt: skip
def test_a_malformed_body_is_refused(door: Door, body: Any, words: str) -> None:
    door.assert_says(door.post(body), 400, "malformed_request", words)


def test_a_body_that_is_not_utf8_is_a_400_whoever_reads_it(door: Door) -> None:
    """In a translated call we read the messages; where they pass through, their provider does."""
    reply = door.post(b'{"model": "support", "max_tokens": 5, "messages": [{"role": "user", "content": "\xff"}]}')
    door.assert_says(reply, 400, "malformed_request" if door.dialect == "anthropic" else "rejected", "")


@pytest.mark.parametrize("message", [5, "Hello", {"role": 7, "content": "Hello"}, {"role": "user", "content": 5}])
def test_a_malformed_message_is_refused_when_it_is_translated(sidecar: SidecarProcess, message: Any) -> None:
    """A body that passes through is its provider's to judge."""
    door = Door("anthropic", sidecar)
    door.assert_says(door.post({**GOOD, "messages": [message]}), 400, "malformed_request", "messages")


def test_an_unknown_use_case_lists_close_names(door: Door) -> None:
    reply = door.post({**GOOD, "model": "suport"})
    door.assert_says(reply, 404, "unknown_use_case", 'did you mean "support"?')
    assert "coding" in reply.json["error"]["message"]


def test_an_unknown_use_case_in_the_header_is_not_replaced_by_the_model(door: Door) -> None:
    reply = door.post(GOOD, {"x-pointsman-use-case": "codding"})
    door.assert_says(reply, 404, "unknown_use_case", 'did you mean "coding"?')


def test_a_pin_on_an_unknown_model_lists_the_known(door: Door) -> None:
    door.assert_says(door.post(GOOD, {"x-pointsman-target": "gpt-9"}), 404, "unknown_target", "known: o-model")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_told_the_right_one(door: Door, method: str) -> None:
    reply = wire.send(method, door.sidecar.url + door.path, headers=door.headers)
    door.assert_says(reply, 405, "wrong_method", "POST")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/chat/completion", "/v2/messages", "/v1/messages/../../etc/passwd"])
def test_an_unknown_path_names_those_that_are_served(door: Door, path: str) -> None:
    reply = wire.post(door.sidecar.url + path, GOOD, door.headers)
    if door.dialect == "openai" and path.startswith("/v1/messages"):
        door = Door("anthropic", door.sidecar)  # that path is Anthropic's, whoever asks
    door.assert_says(reply, 404, "unknown_path", "/v1/chat/completions")


@pytest.mark.parametrize("host", ["attacker.example", "169.254.169.254", "localhost.attacker.example", ""])
def test_a_foreign_host_is_refused(door: Door, host: str) -> None:
    door.assert_says(door.post(GOOD, {"host": host}), 403, "foreign_host", "--allow-host")


@pytest.mark.parametrize("origin", ["https://attacker.example", "null", "file://", "http://localhost.attacker.example"])
def test_a_foreign_origin_is_refused(door: Door, origin: str) -> None:
    door.assert_says(door.post(GOOD, {"origin": origin}), 403, "foreign_host", "Origin")


def test_a_page_of_this_machine_may_call(door: Door) -> None:
    assert door.post(GOOD, {"origin": "http://localhost:3000"}).status == 200


@pytest.mark.parametrize("origin", ["https://attacker.example", "http://localhost:3000"])
def test_no_page_is_told_that_it_may_read_what_is_answered(sidecar: SidecarProcess, origin: str) -> None:
    """No CORS: a browser sends neither a key nor JSON without the leave that nobody gives here."""
    asked = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    url = f"{sidecar.url}/v1/chat/completions"
    replies = [wire.send("OPTIONS", url, headers=asked), wire.post(url, GOOD, {"origin": origin})]
    assert replies[0].status in (403, 405)
    assert [name for reply in replies for name in reply.headers if name.startswith("access-control-")] == []


def test_no_link_in_a_message_is_followed(door: Door) -> None:
    """What a message links to is fetched by the provider or by nobody: an agent reaches no inner address by us."""
    with socket.create_server(("127.0.0.1", 0)) as inner:
        inner.setblocking(False)
        url = f"http://127.0.0.1:{inner.getsockname()[1]}/latest/meta-data"
        image = {"openai": {"type": "image_url", "image_url": {"url": url}},
                 "anthropic": {"type": "image", "source": {"type": "url", "url": url}}}[door.dialect]  # fmt: skip
        content = [{"type": "text", "text": "What is this?"}, image]
        reply = door.post({**GOOD, "messages": [{"role": "user", "content": content}]})
        assert reply.status in (200, 400, 422, 502, 503), reply.body
        with pytest.raises(BlockingIOError):
            inner.accept()


def test_what_a_request_says_is_one_line_of_no_log(door: Door) -> None:
    said = len(door.sidecar.stderr())
    forged = "chat\n2026-11-27 00:00:00 ERROR call.crashed id=forged"
    reply = door.post({**GOOD, "model": forged}, {"x-pointsman-agent": "a%0aERROR forged"})
    assert reply.status == 404
    assert "forged" not in door.sidecar.stderr()[said:]
    assert all("\n" not in value and "\r" not in value for value in reply.headers.values())


@pytest.mark.parametrize("path", ["/metrics", "/status", "/healthz", "/readyz"])
def test_the_admin_port_refuses_foreigners_too(sidecar: SidecarProcess, path: str) -> None:
    assert wire.get(sidecar.admin_url + path).status == 200
    for headers in ({"host": "attacker.example"}, {"origin": "https://attacker.example"}):
        refused = wire.get(sidecar.admin_url + path, headers)
        assert (refused.status, refused.json["error"]["code"]) == (403, "foreign_host")


def test_an_expectation_that_is_no_text_is_passed_over(sidecar: SidecarProcess) -> None:
    url = urlsplit(sidecar.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        head = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-con\xf5\r\n\r\n"
        connection.sendall(head)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_body_of_50_megabytes_is_too_large(door: Door) -> None:
    door.assert_says(door.post(b" " * 50 * MEGABYTE), 413, "body_too_large", "--max-body")


def test_a_body_just_below_the_limit_is_not(door: Door) -> None:
    """What is refused here is its content, not its size."""
    door.assert_says(door.post(b" " * (MAX_BODY - 1)), 400, "malformed_request", "")


def test_a_chunked_body_is_bounded_as_well(door: Door) -> None:
    reply = chunked(door, [b" " * MEGABYTE] * 50)
    door.assert_says(reply, 413, "body_too_large", "--max-body")


def test_a_chunked_body_is_read(door: Door) -> None:
    parts = [b'{"model": "support", "max_to', b'kens": 50, "messages": [{"role": "user", ', b'"content": "Hello"}]}']
    assert chunked(door, parts).status == 200


def chunked(door: Door, parts: list[bytes]) -> Reply:
    """A body whose length is not said beforehand."""
    host, _, port = door.sidecar.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=wire.PATIENCE_SECONDS)
    try:
        headers = {"content-type": "application/json", "transfer-encoding": "chunked", **door.headers}
        connection.request("POST", door.path, iter(parts), headers, encode_chunked=True)
        return wire.reply_of(connection.getresponse())
    finally:
        connection.close()


def test_a_compressed_body_is_read(door: Door) -> None:
    body = b'{"model": "support", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}'
    assert door.post(gzip.compress(body), {"content-encoding": "gzip"}).status == 200


def test_a_gzip_bomb_is_refused_before_it_unfolds(door: Door) -> None:
    bomb = gzip.compress(b" " * 16 * MEGABYTE) * 32
    assert len(bomb) < MEGABYTE
    before = resident_bytes(door.sidecar)
    door.assert_says(door.post(bomb, {"content-encoding": "gzip"}), 413, "body_too_large", "--max-body")
    assert resident_bytes(door.sidecar) - before < 8 * MAX_BODY < 512 * MEGABYTE


def test_a_body_that_only_says_that_it_is_compressed(door: Door) -> None:
    reply = door.post(GOOD, {"content-encoding": "gzip"})
    door.assert_says(reply, 400, "malformed_request", "as its headers say")


def resident_bytes(sidecar: SidecarProcess) -> int:
    """The most memory that the process ever held (Linux: `VmHWM`)."""
    lines = Path(f"/proc/{sidecar.child.popen.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"POST %s HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"a" * 100_000 + b"\r\n\r\n", id="header"),
        pytest.param(b"GET /%s" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", id="path"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 %s\r\n\r\n", id="TLS"),
        pytest.param(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", id="negative length"),
        pytest.param(
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="two lengths",
        ),
    ],
)
def test_what_is_hardly_http_gets_a_plain_400(door: Door, raw: bytes) -> None:
    """Refused before there is a path, and so a dialect, to answer in. The log does not repeat what came."""
    said = len(door.sidecar.stderr())
    host, _, port = door.sidecar.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), wire.PATIENCE_SECONDS) as connection:
        connection.sendall(raw.replace(b"%s", door.path.encode()))
        assert connection.recv(100).startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert "aaaa" not in door.sidecar.stderr()[said:]


def test_a_caller_that_leaves_inside_its_own_body(door: Door) -> None:
    host, _, port = door.sidecar.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), wire.PATIENCE_SECONDS) as connection:
        head = f"POST {door.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b'{"model":')


# The same through the SDKs: the class of the exception is what their users catch


@pytest.mark.parametrize(
    ("more", "openai_class", "anthropic_class"),
    [
        ({"messages": []}, "BadRequestError", "BadRequestError"),
        ({"model": "suport"}, "NotFoundError", "NotFoundError"),
        ({"extra_headers": {"host": "attacker.example"}}, "PermissionDeniedError", "PermissionDeniedError"),
        ({"messages": [{"role": "user", "content": "x" * (MAX_BODY + 1)}]}, "APIStatusError", "ContentTooLargeError"),
    ],
    ids=["empty", "unknown", "foreign", "too large"],
)
def test_the_sdks_raise_the_class_that_says_it(
    sidecar: SidecarProcess, more: dict[str, Any], openai_class: str, anthropic_class: str
) -> None:
    with openai.OpenAI(base_url=f"{sidecar.url}/v1", api_key="-") as gpt, pytest.raises(getattr(openai, openai_class)):
        gpt.chat.completions.create(**{"model": "support", "messages": HELLO, **more})
    claude = anthropic.Anthropic(base_url=sidecar.url, api_key="-")
    with claude, pytest.raises(getattr(anthropic, anthropic_class)):
        claude.messages.create(**{**GOOD, **more})
