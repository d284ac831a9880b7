"""What the agents of the bench send: chat calls of 2 KB and 100 KB, plain and streamed, for one model name.
The words are drawn with a fixed seed, so every run sends the same bytes."""

import json
import random
from dataclasses import dataclass

WORDS = ("the", "agent", "moves", "parcels", "between", "yards", "and", "asks", "which", "track", "is", "free", "today")


@dataclass(frozen=True, slots=True)
class Payload:
    """One kind of call, before the model name is known."""

    name: str
    size_bytes: int
    """About this long as JSON."""
    chunks: int = 0
    """Text chunks of the streamed answer; 0 asks for a plain one."""
    gap_us: int = 0
    """Pause between two chunks; 0 is a flood."""
    is_spread: bool = False
    """Streams that begin together fall out of step, as those of independent agents do."""


PLAIN = Payload("plain", 2_000)
LARGE = Payload("large", 100_000)
SHORT_STREAM = Payload("short-stream", 2_000, chunks=10, gap_us=20_000)
PACED_STREAM = Payload("paced-stream", 2_000, chunks=50, gap_us=20_000, is_spread=True)
FLOOD = Payload("flood", 2_000, chunks=50)


def encode_body(payload: Payload, model: str) -> bytes:
    """The request body in OpenAI Chat Completions. The upstream finds its script in the system message, where it
    outlives a translation into another dialect."""
    words = random.Random(payload.name)
    script = f"[[bench chunks={payload.chunks} gap_us={payload.gap_us} spread={payload.is_spread:d}]]"
    messages = [{"role": "system", "content": f"You are a careful shunter. {script if payload.chunks else ''}"}]
    body = {"model": model, "messages": messages, "temperature": 0.2, "max_tokens": 512}
    if payload.chunks:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    while (missing := payload.size_bytes - len(json.dumps(body))) > 0 or len(messages) % 2:
        text = " ".join(words.choices(WORDS, k=max(3, min(missing, 700) // 6)))
        messages.append({"role": "assistant" if len(messages) % 2 == 0 else "user", "content": text})
    return json.dumps(body).encode()
