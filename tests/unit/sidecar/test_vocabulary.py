"""Counting by a vocabulary: every text exactly, everything else as the estimate has it."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from toktok import batch_count

from schemas.bundle import DialectName
from sidecar.dialects.base import InPath
from sidecar.dialects.embeddings import GEMINI_ONE, OPENAI_EMBEDDINGS
from sidecar.dialects.estimate import MEDIA_TOKENS, TextCount, estimate_text_tokens
from sidecar.dialects.registry import DIALECTS
from sidecar.vocabulary import ENCODING, load_vocabulary

TEXT = "Ein Gepäckträger schob 3 Kisten, 夜行列車は遅れていた, at 09:26:53Z. "
PICTURE = "iVBORw0KGgo" * 800

CHAT = {"role": "user", "content": TEXT}
DIALECT_BODIES: Mapping[str, Mapping[str, Any]] = {
    "openai": {"model": "m", "messages": [CHAT, {"role": "user", "content": [{"type": "text", "text": TEXT}]}]},
    "openai-responses": {"model": "m", "instructions": TEXT, "input": [CHAT]},
    "anthropic": {"model": "m", "max_tokens": 9, "system": TEXT, "messages": [CHAT]},
    "gemini": {"systemInstruction": {"parts": [{"text": TEXT}]}, "contents": [{"parts": [{"text": TEXT}]}]},
}
"""Two texts each."""


@pytest.fixture(scope="module")
def count_text() -> TextCount:
    return load_vocabulary()


def tokens_of(text: str) -> int:
    return batch_count([text], ENCODING)[0]


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_in_every_dialect_a_longer_text_adds_its_own_tokens(
    count_text: TextCount, name: DialectName, ensure_ascii: bool
) -> None:
    short, long = TEXT * 10, TEXT * 110

    def input_tokens(text: str) -> int:
        old, new = (json.dumps(given, ensure_ascii=ensure_ascii) for given in (TEXT, text))
        body = json.dumps(DIALECT_BODIES[name], ensure_ascii=ensure_ascii).replace(old, new)
        return DIALECTS[name].open(body.encode(), InPath("m"), count_text).input_tokens

    assert input_tokens(short) - input_tokens("") == 2 * tokens_of(short)
    assert input_tokens(long) - input_tokens("") == 2 * tokens_of(long)


@pytest.mark.parametrize(
    ("raw", "texts", "rest"),
    [
        (b'"How many?"', ["How many?"], b'""'),
        (b'["one text", "and another"]', ["one text", "and another"], b'["",""]'),
        (b'[{"role":"user","content":"Hi"}]', ["Hi"], b'[{"role":"user","content":""}]'),
        (
            b'[{"role":"tool","content":"72","tool_call_id":"c1"},{"tool_calls":[{"function":{"arguments":"{}"}}]}]',
            ["72", "{}"],
            b'[{"role":"tool","content":"","tool_call_id":"c1"},{"tool_calls":[{"function":{"arguments":""}}]}]',
        ),
        (b'[{"name":"f","description":"What it does."}]', [], b'[{"name":"f","description":"What it does."}]'),
        (b'{"text":null,"content":[1,true]}', [], b'{"text":null,"content":[1,true]}'),
    ],
)
def test_texts_are_counted_and_the_json_around_them_is_estimated(
    count_text: TextCount, raw: bytes, texts: list[str], rest: bytes
) -> None:
    assert count_text(raw) == sum(map(tokens_of, texts)) + estimate_text_tokens(rest)


@pytest.mark.parametrize("raw", [b"", b'{"text":', b'"\\ud800"', b'"\xff"', b"[" * 5_000 + b"]" * 5_000])
def test_what_cannot_be_read_is_estimated(count_text: TextCount, raw: bytes) -> None:
    assert count_text(raw) == estimate_text_tokens(raw)


def test_an_image_stays_one_image(count_text: TextCount) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": TEXT}, image]}]}
    tokens = DIALECTS["openai"].open(json.dumps(body).encode(), InPath(), count_text).input_tokens
    assert tokens == pytest.approx(MEDIA_TOKENS + tokens_of(TEXT), abs=50)


def test_embeddings_are_counted_too(count_text: TextCount) -> None:
    one = json.dumps({"model": "m", "input": [TEXT, TEXT]}).encode()
    assert OPENAI_EMBEDDINGS.open(one, InPath(), count_text).input_tokens == pytest.approx(2 * tokens_of(TEXT), abs=5)
    other = json.dumps({"content": {"parts": [{"text": TEXT}]}}).encode()
    assert GEMINI_ONE.open(other, InPath("m"), count_text).input_tokens == pytest.approx(tokens_of(TEXT), abs=20)


def test_the_sidecar_alone_imports_nothing_of_it() -> None:
    code = "import sys, sidecar.app; print('toktok' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"
