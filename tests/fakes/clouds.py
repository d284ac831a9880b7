"""Claude at the clouds: Bedrock's InvokeModel and Vertex' rawPredict, answering as their documentation shows.

A model's name chooses what happens: `refused`, `throttled` and `broken` (in the middle of its stream) do as they say.
"""

import base64
import json
from typing import Any

from tests.fakes.endpoints import Answer, Received, Routes
from tests.fakes.eventstream import pack

TEXT = "The train leaves at noon."
USAGE = {"input_tokens": 9, "output_tokens": 7}

MESSAGE = {
    "id": "msg_bdrk_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}

EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "The train "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "leaves at noon."}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": USAGE["output_tokens"]},
    },
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 7}},
)


def frame(event: dict[str, Any]) -> str:
    payload = base64.b64encode(json.dumps(event).encode()).decode()
    return f'chunk {{"bytes":"{payload}","p":"abcdefgh"}}\n'


def _refusal(kind: str, status: int, message: str) -> Answer:
    return Answer(
        json.dumps({"message": message}).encode(), status, headers={"x-amzn-errortype": f"{kind}:http://aws/"}
    )


def _invoke(request: Received) -> Answer:
    if "/refused/" in request.path:
        return _refusal("ValidationException", 400, "max_tokens: 999999 > 64000")
    if "/throttled/" in request.path:
        return _refusal("ThrottlingException", 429, "Too many tokens")
    if request.path.endswith("/invoke"):
        return Answer(json.dumps(MESSAGE).encode())
    lines = [frame(event) for event in EVENTS]
    if "/broken/" in request.path:
        lines[3:] = ['exception modelStreamErrorException {"message":"no","originalStatusCode":500}\n']
    return Answer(pack("".join(lines)), content_type="application/vnd.amazon.eventstream")


def _count(request: Received) -> Answer:
    if "/us." in request.path:
        return _refusal("ValidationException", 400, "The provided model doesn't support counting tokens.")
    return Answer(b'{"inputTokens":17}')


def _stream(_: Received) -> Answer:
    events = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in EVENTS)
    return Answer("".join(events).encode(), content_type="text/event-stream")


CLOUDS: Routes = (
    ("POST /model/[^/]+/invoke(-with-response-stream)?", _invoke),
    ("POST /model/[^/]+/count-tokens", _count),
    ("POST /v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict", lambda _: _tokens()),
    (
        "POST /v1/projects/p/locations/l/publishers/anthropic/models/[^/]+:rawPredict",
        lambda _: Answer(json.dumps(MESSAGE).encode()),
    ),
    ("POST /v1/projects/p/locations/l/publishers/anthropic/models/[^/]+:streamRawPredict", _stream),
)


def _tokens() -> Answer:
    return Answer(b'{"input_tokens":17}')
