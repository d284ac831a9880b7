"""What a provider of the OpenAI or the Anthropic dialect sends, in the fewest bytes, and requests for it."""

import json
from collections.abc import Mapping
from typing import Any

MESSAGES = [{"role": "user", "content": "Hello"}]


def request(*, stream: bool = False, model: str = "chat", **more: Any) -> bytes:
    body: dict[str, Any] = {"model": model, "messages": MESSAGES, "max_tokens": 50, **more}
    return json.dumps({**body, "stream": True} if stream else body).encode()


def chat_answer(text: str = "Hi", *, usage: Mapping[str, Any] | None = None, reports_usage: bool = True) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body: dict[str, Any] = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    if reports_usage:
        body["usage"] = usage or {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return json.dumps(body).encode()


def chat_chunk(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event(
        {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]} | more
    )


def event(data: Any) -> bytes:
    return b"data: %b\n\n" % (data if isinstance(data, bytes) else json.dumps(data).encode())


OPENING = chat_chunk({"role": "assistant", "content": ""})
CONTENT = chat_chunk({"content": "Hi"})
FINISH = chat_chunk({}, "stop")
USAGE = event(
    {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }
)
DONE = event(b"[DONE]")
STREAM = (OPENING, CONTENT, CONTENT, FINISH, USAGE, DONE)
ERROR_EVENT = event({"error": {"message": "overloaded", "type": "server_error", "code": None}})
