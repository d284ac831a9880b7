"""The envelope: what routing needs of a request, and the same body on its way to a target of this dialect."""

import json
from typing import Any

import pytest

from sidecar.dialects.estimate import MEDIA_TOKENS
from sidecar.dialects.openai_responses import OPENAI_RESPONSES
from sidecar.errors import MalformedRequest

IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png"}
FILE = {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0="}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": "Hi"} | fields).encode()


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, set()),
        ({"tools": []}, set()),
        ({"tools": [{"type": "web_search"}]}, {"tools"}),
        ({"text": {"format": {"type": "json_object"}}}, set()),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {}}}}, {"json_schema"}),
        ({"reasoning": {"effort": "low"}}, {"reasoning"}),
        ({"reasoning": {"effort": "none"}}, set()),
        ({"reasoning": {"summary": "auto"}}, set()),
        ({"input": [{"role": "user", "content": [IMAGE]}]}, {"vision"}),
        ({"input": [{"role": "user", "content": [FILE]}]}, {"files"}),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": [IMAGE]}]}, {"vision"}),
        ({"input": [{"role": "user", "content": 'say "input_image"'}]}, set()),
        ({"input": [{"type": "shell_call", "output": {"a": ["input_image"]}}]}, set()),
    ],
)
def test_needs(fields: dict[str, Any], needs: set[str]) -> None:
    assert OPENAI_RESPONSES.open(body(**fields)).needs == needs


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "empty"),
        (b"[]", "JSON object"),
        (b"{", "not valid JSON"),
        (body(model=None), "`model` is missing"),
        (body(model=7), "`model` must be a string"),
        (body(input=None), "`input` is missing"),
        (body(input=""), "`input` is empty"),
        (body(input=[]), "`input` is empty"),
        (body(input={"role": "user"}), "`input` must be a text or an array"),
        (body(stream="yes"), "`stream` must be true or false"),
        (body(max_output_tokens=0), "`max_output_tokens` must be at least 1"),
        (body(reasoning="high"), "`reasoning` must be an object"),
        (body(metadata=[1]), "`metadata` must be an object"),
        (body(previous_response_id=3), "`previous_response_id` must be the id"),
        (body(input=[{"content": [{"type": "input_image"}, 7]}]), "`input`: Expected `object`"),
    ],
)
def test_what_is_malformed_is_named(sent: bytes, said: str) -> None:
    with pytest.raises(MalformedRequest, match=said):
        OPENAI_RESPONSES.open(sent)


def test_a_request_may_go_on_without_input() -> None:
    envelope = OPENAI_RESPONSES.open(b'{"model":"m","previous_response_id":"resp_1"}')
    assert envelope.continues == "resp_1"


def test_an_inline_image_counts_as_one_and_not_by_its_bytes() -> None:
    large = {"type": "input_image", "image_url": "data:image/png;base64," + "iVBORw0K" * 50_000}
    inline = OPENAI_RESPONSES.open(body(input=[{"role": "user", "content": [large]}]))
    linked = OPENAI_RESPONSES.open(body(input=[{"role": "user", "content": [IMAGE]}]))
    screenshot = {"type": "computer_screenshot", "image_url": large["image_url"]}
    seen = OPENAI_RESPONSES.open(body(input=[{"type": "computer_call_output", "call_id": "c", "output": screenshot}]))
    assert MEDIA_TOKENS < seen.input_tokens < MEDIA_TOKENS + 50
    assert 1_500 <= inline.input_tokens <= 1_600
    assert 1_500 <= linked.input_tokens <= 1_600


@pytest.mark.parametrize(
    ("encrypted", "stays"),
    [("gAAAA", True), ("pointsman:", False), ("pointsman:EqQB", False), ("pointsman-sealed:Emw", False)],
)
def test_thinking_of_another_vendor_does_not_go_to_openai(encrypted: str, stays: bool) -> None:
    items = [
        {"role": "user", "content": 'Is "pointsman:" a word?'},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":"pointsman:"}'},
    ]
    forwarded = json.loads(OPENAI_RESPONSES.forward(OPENAI_RESPONSES.open(body(input=items)), "t"))
    assert forwarded["input"] == (items if stays else [items[0], items[2]])


def test_a_body_without_foreign_thinking_keeps_its_bytes() -> None:
    spaced = b'{ "model" : "m", "input" : [ {"role":"user",  "content":"a"} ], "z":1.50}'
    forwarded = OPENAI_RESPONSES.forward(OPENAI_RESPONSES.open(spaced), "t")
    assert b'[ {"role":"user",  "content":"a"} ]' in forwarded
    assert b"1.50" in forwarded
