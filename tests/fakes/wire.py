"""HTTP as bytes: what a test sends and gets when an SDK would be in the way. Standard library only."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def exchange(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """An answer whose headers have come, to be read as a test likes; leaving the block closes the connection.

    A body that is neither bytes nor None is sent as JSON.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_SECONDS)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, data, {"content-type": "application/json", **(headers or {})})
        yield connection.getresponse()
    finally:
        connection.close()


def send(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    with exchange(method, url, body, headers) as answer:
        return reply_of(answer)


def get(url: str, headers: Mapping[str, str] | None = None) -> Reply:
    return send("GET", url, headers=headers)


def post(url: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return send("POST", url, body, headers)


def reply_of(answer: http.client.HTTPResponse) -> Reply:
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
