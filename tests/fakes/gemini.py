"""A scripted provider that speaks Gemini's generateContent: answers by what it is asked, and remembers each request."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = re.compile(r"/v1beta/models/([^/:]+):(generateContent|streamGenerateContent\?alt=sse)")
SIGNATURE = "CpIBAdHtim9kW0nB7y2Z5q8xJ3fW1d4v"
PROMPT_TOKENS, ANSWER_TOKENS, THOUGHT_TOKENS, CACHED_TOKENS = 40, 12, 7, 16


@dataclass
class FakeGemini:
    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    """`path`, `headers` with lower-case names, `body`."""
    refusals: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Status and body of the next answers, one each."""
    streams: list[bytes] = field(default_factory=list)
    """Bytes of the next streamed answers, one each."""


def parts_for(model: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """A call where a tool is offered and none has answered; else a text that says what was asked."""
    asked = [part for content in body["contents"] for part in content["parts"]]
    results = [part["functionResponse"] for part in asked if "functionResponse" in part]
    thoughts = [{"text": "Let me think.", "thought": True}] if _thinks(body) else []
    if results:
        said = ", ".join(f"{result['name']}: {result['response']['output']}" for result in results)
        return [*thoughts, {"text": f"The tools say {said}"}]
    if "tools" in body:
        name = body["tools"][0]["functionDeclarations"][0]["name"]
        cities = ("Oslo", "Rome")
        calls = [{"functionCall": {"name": name, "args": {"city": city, "days": 1}}} for city in cities]
        return [*thoughts, calls[0] | {"thoughtSignature": SIGNATURE}, calls[1]]
    if "responseJsonSchema" in body.get("generationConfig", {}):
        return [*thoughts, {"text": '{"city": "Oslo",'}, {"text": ' "days": 2}'}]
    images = sum("inlineData" in part for part in asked)
    text = next(part["text"] for part in reversed(asked) if "text" in part)
    return [*thoughts, {"text": f"{model} heard "}, {"text": f'"{text}" and saw {images}'}]


def _thinks(body: dict[str, Any]) -> bool:
    """Google's SDK writes this object's fields in snake_case, others in camelCase; the API takes both."""
    thinking = body.get("generationConfig", {}).get("thinkingConfig", {})
    return bool(thinking.get("includeThoughts") or thinking.get("include_thoughts"))


def _document(model: str, parts: list[dict[str, Any]], finish: str | None, *, thinks: bool) -> dict[str, Any]:
    usage = {"promptTokenCount": PROMPT_TOKENS, "cachedContentTokenCount": CACHED_TOKENS}
    if finish:
        usage |= {"candidatesTokenCount": ANSWER_TOKENS}
        usage |= {"thoughtsTokenCount": THOUGHT_TOKENS} if thinks else {}
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r-1"}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeGemini

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.requests.append({"path": self.path, "headers": headers, "body": body})
        found = PATH.fullmatch(self.path)
        if found is None:
            self._say(404, {"error": {"code": 404, "message": "no such path", "status": "NOT_FOUND"}})
        elif self.fake.refusals:
            self._say(*self.fake.refusals.pop(0))
        elif found[2] == "generateContent":
            answer = _document(found[1], parts_for(found[1], body), "STOP", thinks=_thinks(body))
            self._say(200, answer)
        else:
            self._stream(found[1], body)

    def _say(self, status: int, body: dict[str, Any]) -> None:
        # Google indents what it answers.
        self._send(status, "application/json; charset=UTF-8", json.dumps(body, indent=2).encode())

    def _stream(self, model: str, body: dict[str, Any]) -> None:
        if self.fake.streams:
            self._send(200, "text/event-stream", self.fake.streams.pop(0))
            return
        parts, thinks = parts_for(model, body), _thinks(body)
        documents = [
            _document(model, [part], "STOP" if place == len(parts) - 1 else None, thinks=thinks)
            for place, part in enumerate(parts)
        ]
        events = b"".join(b"data: " + json.dumps(document).encode() + b"\r\n\r\n" for document in documents)
        self._send(200, "text/event-stream", events)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests read what came, not a log."""


@contextmanager
def serving_gemini() -> Iterator[FakeGemini]:
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.fake = FakeGemini(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield handler.fake
        finally:
            server.shutdown()
            thread.join()
