"""Plain answers: what they say, what they cost, and what is no answer."""

import json
from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from openai.types.chat import ChatCompletion

from schemas.record import Usage
from sidecar.canonical.request import RedactedReasoning, Refusal, Text, ToolCall
from sidecar.canonical.response import ChatResponse, Choice, FinishReason
from sidecar.dialects.base import PlainAnswer
from sidecar.dialects.cost import encode_cost
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.errors import MalformedAnswer


def without_tier(answer: ChatResponse) -> ChatResponse:
    """The provider's service tier is for the books, and not told on."""
    usage = answer.usage and msgspec.structs.replace(answer.usage, service="")
    return msgspec.structs.replace(answer, usage=usage)


def test_a_golden_answer_survives_the_way_there_and_back(
    response_case: str, golden: Callable[[str, str], bytes]
) -> None:
    answer = OPENAI_CHAT.decode_response(golden("responses", response_case))
    there = OPENAI_CHAT.encode_response(answer)
    assert OPENAI_CHAT.decode_response(there) == without_tier(answer)
    ChatCompletion.model_validate_json(there, strict=True)


def test_what_the_books_read_is_what_the_whole_answer_says(
    response_case: str, golden: Callable[[str, str], bytes]
) -> None:
    body = golden("responses", response_case)
    answer = OPENAI_CHAT.decode_response(body)
    assert OPENAI_CHAT.read_answer(body) == PlainAnswer(model=answer.model, usage=answer.usage)


@pytest.mark.parametrize(
    ("case", "usage"),
    [
        ("text.json", Usage(input_tokens=9, output_tokens=3, cache_read_tokens=4)),
        ("no_usage.json", None),
        ("llama_cpp.json", Usage(input_tokens=33, output_tokens=12)),
        (
            "deepseek_reasoning.json",
            Usage(input_tokens=16, output_tokens=9, cache_read_tokens=10, reasoning_tokens=6),
        ),
        ("reasoning_on_top.json", Usage(input_tokens=20, output_tokens=130, reasoning_tokens=128)),
    ],
)
def test_usage_counts_the_same_way_whoever_reports_it(
    case: str, usage: Usage | None, golden: Callable[[str, str], bytes]
) -> None:
    assert OPENAI_CHAT.read_answer(golden("responses", case)).usage == usage


def completion(message: dict[str, object], **choice: object) -> bytes:
    return json.dumps(
        {"id": "1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}
    ).encode()


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": ""}, ()),
        ({"content": None, "refusal": "No."}, (Refusal(text="No."),)),
        ({"tool_calls": [{"function": {"name": "f"}}]}, (ToolCall(id="call_0", name="f", arguments=""),)),
    ],
)
def test_an_answer_is_read_for_what_it_means(message: dict[str, object], parts: tuple[object, ...]) -> None:
    assert OPENAI_CHAT.decode_response(completion(message)).choices[0].parts == parts


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "an empty body"),
        (b"  \n", "an empty body"),
        (b"<!doctype html><html>", "an HTML page"),
        (b"upstream connect error", "not valid JSON"),
        (b'{"choices":', "not valid JSON"),
        (b"[]", "not a chat completion"),
        (b"{}", "no choices"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": null}', "no choices"),
        (b'{"choices": 5}', "not a chat completion"),
        (b'{"error": {"message": "bad key sk-abcdefgh"}}', r"under status 200: bad key \[masked\]"),
        (b'{"error": "overloaded"}', "under status 200: overloaded"),
        (b'{"error": {}}', "under status 200: no reason given"),
        (b'{"choices": [{}], "usage": {"prompt_tokens": "many"}}', "not a chat completion"),
    ],
)
def test_what_is_no_answer_is_refused_by_both_readers(body: bytes, said: str) -> None:
    for read in (OPENAI_CHAT.read_answer, OPENAI_CHAT.decode_response):
        with pytest.raises(MalformedAnswer, match=said):
            read(body)


def test_an_answer_that_the_provider_broke_off_is_no_answer() -> None:
    with pytest.raises(MalformedAnswer, match="insufficient_system_resource"):
        OPENAI_CHAT.decode_response(completion({"content": "Hal"}, finish_reason="insufficient_system_resource"))


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("pause", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
    ],
)
def test_every_finish_has_its_word(finish: FinishReason, word: str) -> None:
    response = ChatResponse(id="1", model="m", choices=(Choice(parts=(Text(text="a"),), finish=finish),), usage=None)
    written = json.loads(OPENAI_CHAT.encode_response(response))
    assert written["choices"][0]["finish_reason"] == word
    assert "usage" not in written


def test_an_answer_is_written_in_openai_s_words() -> None:
    usage = Usage(input_tokens=10, output_tokens=4, cache_read_tokens=3, cache_write_tokens=2, reasoning_tokens=1)
    parts = (RedactedReasoning(data="x"), Text(text="a"), ToolCall(id="c", name="f", arguments="{}"), Text(text="b"))
    response = ChatResponse(
        id="msg_1", model="claude", choices=(Choice(parts=parts, finish="tool_calls"),), usage=usage, created=5
    )
    assert json.loads(OPENAI_CHAT.encode_response(response)) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 5,
        "model": "claude",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "ab",
                    "refusal": None,
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 4,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }


@pytest.mark.parametrize(
    ("cost_usd", "written"),
    [("0.000123", b"0.000123"), ("1E-7", b"0.0000001"), ("0", b"0"), ("12", b"12"), ("1E+1", b"10")],
)
def test_a_cost_is_written_as_an_exact_number_without_an_exponent(cost_usd: str, written: bytes) -> None:
    assert encode_cost(Decimal(cost_usd)) == written
