"""What routing sees of a request, and what passes on."""

import json
from typing import Any

import pytest

from sidecar.dialects.base import InPath
from sidecar.dialects.estimate import MEDIA_TOKENS
from sidecar.dialects.gemini import GEMINI

HELLO = {"contents": [{"parts": [{"text": "Hello"}]}]}


def opened(body: dict[str, Any], *, stream: bool = False) -> Any:
    return GEMINI.open(json.dumps(body).encode(), InPath("support", stream))


def media(kind: str, **blob: str) -> dict[str, Any]:
    return {"contents": [{"parts": [{"text": "?"}, {kind: blob}]}]}


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        (HELLO, set()),
        (media("inlineData", mimeType="image/png", data="AA=="), {"vision"}),
        (media("inline_data", mime_type="image/png", data="AA=="), {"vision"}),
        (media("fileData", mimeType="application/pdf", fileUri="https://example.com/a"), {"files"}),
        (media("inlineData", mimeType="audio/wav", data="AA=="), {"audio"}),
        (HELLO | {"tools": [{"functionDeclarations": [{"name": "f"}]}]}, {"tools"}),
        (HELLO | {"tools": []}, set()),
        (HELLO | {"generationConfig": {"responseSchema": {"type": "STRING"}}}, {"json_schema"}),
        (HELLO | {"generation_config": {"response_json_schema": {}}}, {"json_schema"}),
        (HELLO | {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, set()),
        (HELLO | {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, {"reasoning"}),
    ],
)
def test_what_a_target_must_be_able_to_do(body: dict[str, Any], needs: set[str]) -> None:
    assert opened(body).needs == needs


def test_model_and_streaming_are_those_of_the_path() -> None:
    envelope = opened(HELLO | {"model": "models/other", "stream": False}, stream=True)
    assert (envelope.model, envelope.stream, envelope.wants_usage) == ("support", True, True)


def test_media_count_as_media_and_not_by_their_bytes() -> None:
    inline = opened(media("inlineData", mimeType="image/png", data="A" * 40_000)).input_tokens
    linked = opened(media("fileData", mimeType="image/png", fileUri="https://example.com/a.png")).input_tokens
    assert MEDIA_TOKENS < inline < MEDIA_TOKENS + 100
    assert MEDIA_TOKENS < linked < MEDIA_TOKENS + 100


def test_what_passes_on_is_what_came_byte_by_byte() -> None:
    sent = b'{ "contents" : [{"parts":[{"text":"\\u00e9 \\"model\\""}]}],\n "newField": {"a": 1e2} }'
    assert GEMINI.forward(GEMINI.open(sent, InPath("support")), "gemini-3") == sent


@pytest.mark.parametrize(
    ("target", "named"), [("gemini-3", "models/gemini-3"), ("tunedModels/ours", "tunedModels/ours")]
)
def test_a_body_that_names_the_model_too_gets_the_targets_name(target: str, named: str) -> None:
    passed = json.loads(GEMINI.forward(opened(HELLO | {"model": "models/support"}), target))
    assert passed == HELLO | {"model": named}
