"""Continuous calls from many workers, plain and streamed in both dialects; what came back of each call is kept.

It runs in a thread of its own, so that a test kills and restarts processes meanwhile.
"""

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import aiohttp

from tests.fakes import core_wire
from tests.fakes.processes import eventually

PAUSE_SECONDS = 0.05
"""After a call that found nobody listening."""
PATIENCE_SECONDS = 30.0

Url = Callable[[], str]


@dataclass(frozen=True)
class Kind:
    """One way of calling."""

    dialect: Literal["openai", "anthropic"]
    stream: bool
    use_case: str = "support"

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.dialect == "openai" else "/v1/messages"

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.dialect == "openai" else {"anthropic-version": "2023-06-01"}

    def body(self, text: str) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.use_case, "messages": [{"role": "user", "content": text}]}
        if self.dialect == "anthropic":
            body["max_tokens"] = 64
        if self.stream:
            body["stream"] = True
            if self.dialect == "openai":
                body["stream_options"] = {"include_usage": True}
        return body

    @property
    def end_mark(self) -> bytes:
        return b"data: [DONE]" if self.dialect == "openai" else b"event: message_stop"


def kinds(use_case: str = "support") -> tuple[Kind, ...]:
    """Plain and streamed in both dialects."""
    return tuple(Kind(dialect, stream, use_case) for dialect in ("openai", "anthropic") for stream in (False, True))


@dataclass(frozen=True)
class Came:
    """What a caller saw of one call."""

    kind: Kind
    began: float
    """Unix seconds, as are all times here: they are compared with those in logs."""
    ended: float
    status: int = 0
    """0: the connection broke before an answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names."""
    body: bytes = b""
    broken: str = ""
    """The client's own error, where the connection did not end as it should."""

    @property
    def id(self) -> str:
        return self.headers["x-pointsman-request-id"]

    @property
    def model(self) -> str:
        return self.headers["x-pointsman-model"]

    @property
    def reason(self) -> str:
        return self.headers["x-pointsman-reason"]

    @property
    def attempts(self) -> int:
        return int(self.headers["x-pointsman-attempts"])

    @property
    def has_end_mark(self) -> bool:
        return self.kind.end_mark in self.body

    @property
    def has_error_event(self) -> bool:
        if self.kind.dialect == "anthropic":
            return b"event: error" in self.body
        return b'data: {"error"' in self.body

    @property
    def is_whole(self) -> bool:
        """An answer with nothing missing: JSON with its usage, or a stream up to its end mark."""
        if self.status != 200 or self.broken:
            return False
        if self.kind.stream:
            return self.has_end_mark and not self.has_error_event
        return bool(json.loads(self.body)["usage"])

    def __str__(self) -> str:
        shown = {name: value for name, value in self.headers.items() if name.startswith("x-pointsman")}
        return f"{self.kind} {self.status} {self.broken} {shown} {self.body[-300:]!r}"


class Load:
    """`with Load([url]) as load:` calls until the block ends, or until `stop`."""

    def __init__(self, urls: Sequence[Url], *, workers: int = 16, ways: Sequence[Kind] = kinds()) -> None:
        """Worker `n` calls `urls[n % len(urls)]`, asked for again before each call, in all `ways` in turn."""
        self._urls = urls
        self._workers = workers
        self._ways = ways
        self._stopping = False
        self._came: list[Came] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def came(self) -> list[Came]:
        """Calls that have ended, in that order."""
        return self._came.copy()

    def stop(self) -> list[Came]:
        """Begins no more calls, waits for the open ones, and gives all."""
        self._stopping = True
        self._thread.join(PATIENCE_SECONDS + 5)
        assert not self._thread.is_alive(), "calls are still open"
        return self.came

    def wait_for(self, more: int, within_seconds: float = 30.0) -> None:
        """Until so many more calls have ended, well or badly."""
        goal = len(self._came) + more
        eventually(lambda: len(self._came) >= goal, within_seconds)

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(self._work(session, number) for number in range(self._workers)))

    async def _work(self, session: aiohttp.ClientSession, number: int) -> None:
        url, turn = self._urls[number % len(self._urls)], number // len(self._urls)
        while not self._stopping:
            came = await call(session, url(), self._ways[turn % len(self._ways)], f"Call {turn} of worker {number}.")
            self._came.append(came)
            turn += 1
            if not came.status:
                await asyncio.sleep(PAUSE_SECONDS)


async def call(session: aiohttp.ClientSession, url: str, kind: Kind, text: str) -> Came:
    """One call, whatever comes of it."""
    began = time.time()
    status, headers, body, broken = 0, {}, bytearray(), ""
    try:
        async with session.post(url + kind.path, json=kind.body(text), headers=kind.headers) as answer:
            status, headers = answer.status, {name.lower(): value for name, value in answer.headers.items()}
            async for data in answer.content.iter_any():
                body += data
    except (aiohttp.ClientError, OSError) as error:
        broken = f"{type(error).__name__}: {error}"
    return Came(kind, began, time.time(), status, headers, bytes(body), broken)


def leave_early(url: str) -> None:
    """A caller that goes with a stream half read."""
    host, _, port = url.removeprefix("http://").partition(":")
    body = core_wire.request(model="support", stream=True)
    with socket.create_connection((host, int(port)), timeout=10) as caller:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body)
        caller.recv(200)


def counted(came: Sequence[Came]) -> str:
    """For a failing test: how many calls ended how."""
    return str(Counter((came.status, came.headers.get("x-pointsman-model", "-"), came.broken) for came in came))
