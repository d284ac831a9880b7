"""What we send by OpenAI's own types: every golden answer and event of ours is one that its SDK's types accept."""

import json
from pathlib import Path

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from sidecar.dialects.base import Dialect
from sidecar.dialects.registry import DIALECTS
from sidecar.errors import UpstreamError
from sidecar.sse import parse_events

GOLDEN = Path(__file__).parents[4] / "golden"
EVENT = TypeAdapter(ResponseStreamEvent)
OURS = DIALECTS["openai-responses"]


def cases(kind: str, suffix: str) -> list[object]:
    return [
        pytest.param(path.read_bytes(), dialect, id=f"{name}-{path.stem}")
        for name, dialect in DIALECTS.items()
        for path in sorted((GOLDEN / kind / name).glob(f"*{suffix}"))
        if path.name.count(".") == 1 and "failed" not in path.name
    ]


@pytest.mark.parametrize(("body", "dialect"), cases("responses", ".json"))
def test_an_answer(body: bytes, dialect: Dialect) -> None:
    try:
        sent = OURS.encode_response(dialect.decode_response(body))
    except UpstreamError:
        return  # nothing is sent
    Response.model_validate(json.loads(sent))


@pytest.mark.parametrize(("body", "dialect"), cases("streams", ".sse"))
def test_a_stream(body: bytes, dialect: Dialect) -> None:
    decoder, encoder = dialect.new_decoder(), OURS.new_encoder(True, lambda usage: None, 10)
    for event in parse_events(encoder.encode(decoder.feed(body) + decoder.finish())):
        read = json.loads(event.data)
        if "failed" not in read["type"]:  # its code is ours, and not one of the vendor's words
            EVENT.validate_python(read)
