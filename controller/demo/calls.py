"""Calls as an agent makes them, with nothing but the standard library, and the `curl` line that does the same."""

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CALL_SECONDS = 120.0
LINE_CHARACTERS = 73
HEADERS_SHOWN = ("use-case", "model", "provider", "attempts", "reason", "cost-usd")


class CallFailed(Exception):
    """A call got no answer, or another status than 200."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question in one of the two dialects."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def is_streamed(self) -> bool:
        return bool(self.body.get("stream"))


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """In lower case."""
    text: str
    seconds: float
    cost_usd: str
    """As the sidecar says it: in a header, or in a stream's usage; empty when it does not."""

    @property
    def model(self) -> str:
        return self.headers.get("x-pointsman-model", "")

    @property
    def shown_headers(self) -> str:
        names = (f"x-pointsman-{name}" for name in HEADERS_SHOWN)
        return "\n".join(f"{name}: {self.headers[name]}" for name in names if name in self.headers)


def openai_ask(question: str, *, model: str, max_tokens: int, stream: bool = False) -> Ask:
    body: dict[str, Any] = {"model": model, "max_completion_tokens": max_tokens}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body["messages"] = [{"role": "user", "content": question}]
    return Ask("/v1/chat/completions", body, {"content-type": "application/json"})


def anthropic_ask(question: str, *, model: str, max_tokens: int) -> Ask:
    body = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": question}]}
    return Ask("/v1/messages", body, {"content-type": "application/json", "anthropic-version": "2023-06-01"})


def curl_line(base_url: str, ask: Ask) -> str:
    """What a person would type, in lines for a narrow terminal: JSON may be broken between its members."""
    first, *members = re.split(r'(?<=,) (?=")', json.dumps(ask.body))
    lines = [f"-d '{first}"]
    for member in members:
        if len(lines[-1]) + len(member) < LINE_CHARACTERS:
            lines[-1] += f" {member}"
        else:
            lines.append(member)
    flags = [f"-H '{name}: {value}'" for name, value in ask.headers.items()]
    option = "-iN" if ask.is_streamed else "-i"
    return " \\\n".join([f"curl {option} {base_url}{ask.path}", *flags, "\n".join(lines) + "'"])


def send(base_url: str, ask: Ask, on_text: Callable[[str], None] = lambda piece: None) -> Reply:
    """Makes the call; `on_text` gets a streamed answer's pieces as they arrive.

    Raises:
        CallFailed: nobody answered, or with an error.
    """
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=CALL_SECONDS)
    started = time.monotonic()
    try:
        connection.request("POST", ask.path, json.dumps(ask.body), dict(ask.headers))
        response = connection.getresponse()
        if response.status != 200:
            raise CallFailed(f"HTTP {response.status}: {response.read().decode(errors='replace')}")
        headers = {name.lower(): value for name, value in response.getheaders()}
        if ask.is_streamed:
            text, cost = _read_stream(response, on_text)
        else:
            text, cost = _text_of(json.loads(response.read())), headers.get("x-pointsman-cost-usd", "")
        return Reply(response.status, headers, text, time.monotonic() - started, cost)
    except (OSError, http.client.HTTPException) as error:
        raise CallFailed(f"no answer from {base_url}: {type(error).__name__} {error}".rstrip()) from error
    finally:
        connection.close()


def fetch(url: str) -> Any:
    """The JSON document at a URL of ours. Raises `CallFailed`."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=CALL_SECONDS)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise CallFailed(f"HTTP {response.status} at {url}")
        return json.loads(content)
    except (OSError, http.client.HTTPException) as error:
        raise CallFailed(f"no answer from {url}: {type(error).__name__} {error}".rstrip()) from error
    finally:
        connection.close()


def _text_of(answer: Mapping[str, Any]) -> str:
    if "choices" in answer:
        return str(answer["choices"][0]["message"]["content"] or "")
    return "".join(block["text"] for block in answer["content"] if block["type"] == "text")


def _read_stream(response: http.client.HTTPResponse, on_text: Callable[[str], None]) -> tuple[str, str]:
    """The text of a stream of chat chunks, and its cost."""
    text, cost = "", ""
    for line in response:
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or data == b"[DONE]":
            continue
        chunk = json.loads(data)
        if "error" in chunk:
            raise CallFailed(f"the stream ended with an error: {data.decode(errors='replace')}")
        cost = str((chunk.get("usage") or {}).get("cost_usd", cost))
        for choice in chunk["choices"]:
            if piece := choice["delta"].get("content"):
                text += piece
                on_text(piece)
    return text, cost
