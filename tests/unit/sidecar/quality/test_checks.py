"""Each check of a quality bar, on what a model may answer."""

from typing import Any

import pytest

from sidecar.canonical.request import ChatRequest, OutputFormat, Reasoning, Refusal, Text, Tool, ToolCall, ToolChoice
from sidecar.canonical.response import ChatResponse, Choice
from sidecar.quality.checks import CHECKS, judge

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PLAIN = ChatRequest(model="m", messages=())
JSON = ChatRequest(model="m", messages=(), output=OutputFormat(mode="json"))
SHAPED = ChatRequest(model="m", messages=(), output=OutputFormat(mode="json_schema", schema=SCHEMA))
TOOLED = ChatRequest(model="m", messages=(), tools=(Tool(name="count", parameters=SCHEMA),))
FORCED = ChatRequest(
    model="m", messages=(), tools=(Tool(name="count", parameters=SCHEMA),), tool_choice=ToolChoice("required")
)

LONG_PASSAGE = " ".join(map(str, range(90)))[:250]


def answer(*parts: Any, finish: Any = "stop") -> ChatResponse:
    made = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    return ChatResponse(id="", model="", choices=(Choice(parts=made, finish=finish),), usage=None)


def calls(name: str, arguments: str) -> ChatResponse:
    return answer(ToolCall(id="1", name=name, arguments=arguments), finish="tool_calls")


CASES: list[tuple[Any, ChatRequest, ChatResponse, bool | None]] = [
    ("complete", PLAIN, answer("yes"), True),
    ("complete", PLAIN, answer("cut o", finish="length"), False),
    ("complete", PLAIN, answer(), False),
    ("complete", PLAIN, answer(" \n"), False),
    ("complete", PLAIN, answer(Reasoning(text="thought, and said nothing")), False),
    ("complete", PLAIN, calls("count", "{}"), True),
    ("complete", PLAIN, answer(Refusal(text="no")), True),
    ("complete", PLAIN, ChatResponse(id="", model="", choices=(), usage=None), False),
    ("not_refused", PLAIN, answer("yes"), True),
    ("not_refused", PLAIN, answer(Refusal(text="no")), False),
    ("not_refused", PLAIN, answer(finish="content_filter"), False),
    ("not_refused", PLAIN, answer(finish="refusal"), False),
    ("not_repeating", PLAIN, answer("yes"), True),
    ("not_repeating", PLAIN, calls("count", "{}"), None),
    ("not_repeating", PLAIN, answer("So it is. " + "I am sorry. " * 40), False),
    ("not_repeating", PLAIN, answer("And ", "so on " * 100 + "so ", finish="length"), False),
    ("not_repeating", PLAIN, answer(LONG_PASSAGE * 9), False),
    ("not_repeating", PLAIN, answer(LONG_PASSAGE * 7), True),
    ("not_repeating", PLAIN, answer("I am sorry. " * 30), True),
    ("not_repeating", PLAIN, answer("I am sorry. " * 40 + "That was all."), True),
    ("not_repeating", PLAIN, answer("".join(f"| {n} | {n * n} |\n" for n in range(500))), True),
    ("json_valid", PLAIN, answer("not JSON"), None),
    ("json_valid", JSON, answer('{"any": 1}'), True),
    ("json_valid", JSON, answer('{"a', '": 1}'), True),
    ("json_valid", JSON, answer('```json\n{"n": 1}\n```'), False),
    ("json_valid", JSON, answer("[" * 100_000), False),
    ("json_valid", JSON, answer(""), False),
    ("json_valid", JSON, calls("count", "{}"), None),
    ("json_valid", SHAPED, answer('{"n": 1}'), True),
    ("json_valid", SHAPED, answer('{"n": "1"}'), False),
    ("tool_calls_valid", TOOLED, answer("no call"), None),
    ("tool_calls_valid", FORCED, answer("no call"), False),
    ("tool_calls_valid", TOOLED, calls("count", '{"n": 1}'), True),
    ("tool_calls_valid", TOOLED, calls("count", '{"n": 1'), False),
    ("tool_calls_valid", TOOLED, calls("count", "{}"), False),
    ("tool_calls_valid", TOOLED, calls("count", ""), False),
    ("tool_calls_valid", TOOLED, calls("cuont", '{"n": 1}'), False),
]


@pytest.mark.parametrize(("check", "request_", "response", "expected"), CASES)
def test_a_check_says(check: Any, request_: ChatRequest, response: ChatResponse, expected: bool | None) -> None:
    assert CHECKS[check](request_, response) is expected


def test_the_verdict_holds_the_checks_that_apply_in_their_order() -> None:
    assert judge(("json_valid", "not_refused", "complete"), PLAIN, answer("")) == {
        "not_refused": True,
        "complete": False,
    }
