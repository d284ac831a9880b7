"""What the translation is measured on: an agent's conversation with tools, and a streamed answer, in every dialect."""

import json
from collections.abc import Mapping, Sequence
from random import Random

import msgspec

from schemas.bundle import DialectName
from schemas.record import Usage
from sidecar.canonical.events import AnyEvent, Ended, Finished, Started, TextDelta, UsageReported
from sidecar.canonical.model import ModelTraits
from sidecar.dialects.base import InPath
from sidecar.dialects.registry import DIALECTS
from tests.bench.payloads import WORDS
from tests.fakes.eventstream import pack

MODEL = "bench-model"
IN_PATH = InPath(MODEL, stream=False, method="generateContent")
MAX_OUTPUT_TOKENS = 512
USAGE = Usage(input_tokens=500, output_tokens=120)

TOOL = {
    "type": "function",
    "function": {
        "name": "find_track",
        "description": "Which track is free at a yard.",
        "parameters": {
            "type": "object",
            "properties": {"yard": {"type": "string"}, "length_m": {"type": "integer"}},
            "required": ["yard"],
        },
    },
}


def encode_conversation(dialect: DialectName, size_bytes: int) -> bytes:
    """A request of about so many bytes in OpenAI Chat Completions, in the caller's dialect of that name."""
    chat = _encode_chat(size_bytes)
    if dialect == "openai":
        return chat
    openai = DIALECTS["openai"]
    request = openai.decode_request(openai.open(chat, IN_PATH))
    return DIALECTS[dialect].encode_request(request, ModelTraits(MODEL, MAX_OUTPUT_TOKENS)).body


def _encode_chat(size_bytes: int) -> bytes:
    words = Random(size_bytes)
    messages: list[Mapping[str, object]] = [{"role": "system", "content": "You are a careful shunter."}]
    body = {"model": MODEL, "messages": messages, "tools": [TOOL], "max_tokens": MAX_OUTPUT_TOKENS}
    while len(json.dumps(body)) < size_bytes - 700:
        messages += _turn(f"call_{len(messages)}", words)
    messages.append({"role": "user", "content": _text(words)})
    return msgspec.json.encode(body)


def _turn(call: str, words: Random) -> list[Mapping[str, object]]:
    """Asked, looked up, answered: about 1.3 KB."""
    function = {"name": "find_track", "arguments": json.dumps({"yard": words.choice(WORDS), "length_m": 120})}
    return [
        {"role": "user", "content": _text(words)},
        {"role": "assistant", "tool_calls": [{"id": call, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call, "content": _text(words)},
        {"role": "assistant", "content": _text(words)},
    ]


def _text(words: Random) -> str:
    return " ".join(words.choices(WORDS, k=60))


def encode_chunks(dialect: DialectName, chunks: int) -> Sequence[bytes]:
    """A provider's streamed answer of so many words, piece by piece as its connection brings them."""
    texts = [f"{word} " for word in Random(chunks).choices(WORDS, k=chunks)]
    if dialect == "bedrock":
        return _bedrock_frames(texts)
    deltas = [TextDelta(text) for text in texts]
    events: list[AnyEvent] = [Started("id", MODEL, 1), *deltas, Finished("stop"), UsageReported(USAGE), Ended()]
    encoder = DIALECTS[dialect].new_encoder(True, lambda _: None, USAGE.input_tokens)
    return [piece for event in events if (piece := encoder.encode([event]))]


def _bedrock_frames(texts: Sequence[str]) -> list[bytes]:
    counts = {"inputTokens": 500, "outputTokens": 120, "totalTokens": 620}
    deltas = [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}) for text in texts]
    lines = [
        ("messageStart", {"role": "assistant"}),
        *deltas,
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": counts, "metrics": {"latencyMs": 1}}),
    ]
    return [pack(f"{kind} {json.dumps(said)}\n") for kind, said in lines]
