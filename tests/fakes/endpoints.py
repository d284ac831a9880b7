"""A provider with the endpoints beside chat: it answers each with a small right answer and keeps what it was sent."""

import base64
import json
import re
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VECTOR = (0.0215, -1.5, 3.4028234e38, 1e-30)
"""Numbers that no 32-bit float holds exactly beside some that one does."""
SOUND = bytes(range(256)) * 40


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None


class EndpointsFake:
    def __init__(self, routes: "Routes") -> None:
        self.received: list[Received] = []
        self.failing: set[str] = set()
        """Paths (their ends) that answer 500."""
        self.url = ""
        self._routes = routes

    @property
    def last(self) -> Received:
        return self.received[-1]

    def clear(self) -> None:
        self.received.clear()
        self.failing.clear()

    def answer(self, request: Received) -> Answer:
        path = request.path.partition("?")[0]
        if any(path.endswith(end) for end in self.failing):
            return Answer(b'{"error":{"message":"out of order","type":"server_error"}}', 500)
        for pattern, make in self._routes:
            if re.fullmatch(pattern, f"{request.method} {path}"):
                return make(request)
        return Answer(b'{"error":{"message":"no such path","type":"invalid_request_error"}}', 404)


def _json(document: object, **more: Any) -> Answer:
    return Answer(json.dumps(document).encode(), **more)


def _openai_embeddings(request: Received) -> Answer:
    asked = request.json
    inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    if isinstance(inputs[0], int):
        inputs = [inputs]
    as_base64 = asked.get("encoding_format") == "base64"
    packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    data = [
        {"object": "embedding", "index": place, "embedding": packed if as_base64 else VECTOR}
        for place in range(len(inputs))
    ]
    usage = {"prompt_tokens": 4 * len(inputs), "total_tokens": 4 * len(inputs)}
    return _json({"object": "list", "data": data, "model": asked["model"], "usage": usage})


def _gemini_batch(request: Received) -> Answer:
    vectors = [{"values": VECTOR} for _ in request.json["requests"]]
    return _json({"embeddings": vectors, "usageMetadata": {"promptTokenCount": 4 * len(vectors)}})


def _file(_: Received) -> Answer:
    return _json(
        {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "batch"}
    )


Routes = tuple[tuple[str, Callable[[Received], Answer]], ...]
"""Method and path, and what is answered there; the first that fits counts."""

ROUTES: Routes = (
    ("POST .*/embeddings", _openai_embeddings),
    ("POST .*:batchEmbedContents", _gemini_batch),
    ("POST .*:embedContent", lambda _: _json({"embedding": {"values": VECTOR}})),
    ("POST .*:countTokens", lambda _: _json({"totalTokens": 31})),
    ("POST .*/messages/count_tokens", lambda _: _json({"input_tokens": 17})),
    ("POST .*/images/(generations|edits|variations)", lambda _: _json({"created": 1, "data": [{"b64_json": "AAAA"}]})),
    ("POST .*/audio/speech", lambda _: Answer(SOUND, content_type="audio/mpeg")),
    ("POST .*/audio/(transcriptions|translations)", lambda _: _json({"text": "The train leaves at noon."})),
    ("POST .*/moderations", lambda _: _json({"id": "m-1", "model": "mod", "results": []})),
    ("POST .*/files", _file),
    ("GET .*/files", lambda _: _json({"object": "list", "data": [], "has_more": False})),
    ("GET .*/files/file-1", _file),
    ("GET .*/files/file-1/content", lambda _: Answer(b"\x00raw\xff", content_type="application/octet-stream")),
    ("DELETE .*/files/file-1", lambda _: _json({"id": "file-1", "object": "file", "deleted": True})),
    (
        "POST .*/batches(/b-1/cancel)?",
        lambda _: _json({"id": "b-1", "object": "batch", "status": "validating", "endpoint": "/v1/embeddings"}),
    ),
    ("GET .*/batches/b-1", lambda _: _json({"id": "b-1", "object": "batch", "status": "completed"})),
)


@contextmanager
def endpoints_fake(routes: Routes = ROUTES) -> Iterator[EndpointsFake]:
    """On a free port, in a thread of its own."""
    fake = EndpointsFake(routes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, self._body(headers))
            fake.received.append(received)
            answer = fake.answer(received)
            self.send_response(answer.status)
            self.send_header("content-type", answer.content_type)
            self.send_header("content-length", str(len(answer.body)))
            for name, value in (answer.headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_DELETE = _serve

        def _body(self, headers: Mapping[str, str]) -> bytes:
            if headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(headers.get("content-length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test looks at `received`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
