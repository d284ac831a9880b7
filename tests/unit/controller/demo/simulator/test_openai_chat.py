"""The official OpenAI SDK against the simulated provider."""

import json
from typing import Any

import openai
import pytest

from controller.demo.simulator.settings import SimulatorSettings

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 3}},
    "required": ["city", "unit", "days"],
}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}},
]
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


async def test_the_answer_says_that_it_is_simulated_and_by_which_model(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(model="gpt-5", messages=HELLO)
    content = answer.choices[0].message.content or ""
    assert "Simulated" in content
    assert "gpt-5" in content
    assert "Hello" in content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith("chatcmpl-")


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": HELLO},
        {"messages": HELLO, "max_completion_tokens": 5},
        {"messages": HELLO, "stop": "answer"},
        {"messages": HELLO, "reasoning_effort": "low"},
        {"messages": HELLO, "tools": TOOLS, "tool_choice": "required"},
        {"messages": HELLO, "response_format": {"type": "json_object"}},
    ],
    ids=["text", "cut", "stop", "reasoning", "tool", "json"],
)
async def test_plain_and_streamed_say_and_cost_the_same(
    openai_client: openai.AsyncOpenAI, request_: dict[str, Any]
) -> None:
    plain = await openai_client.chat.completions.create(model="gpt-5", **request_)
    content, arguments, finish, usages = "", "", None, []
    async for chunk in await openai_client.chat.completions.create(model="gpt-5", **request_, **STREAMED):
        if chunk.usage:
            assert chunk.choices == []
            usages.append(chunk.usage)
            continue
        assert "usage" in chunk.model_fields_set  # present and null, as include_usage promises
        delta = chunk.choices[0].delta
        content += delta.content or ""
        arguments += "".join(call.function.arguments or "" for call in delta.tool_calls or () if call.function)
        finish = chunk.choices[0].finish_reason or finish
    message = plain.choices[0].message
    assert (content, finish) == (message.content or "", plain.choices[0].finish_reason)
    assert arguments == "".join(call.function.arguments for call in message.tool_calls or ())
    assert usages == [plain.usage]


async def test_a_stream_reports_usage_only_when_asked(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.chat.completions.create(model="gpt-5", messages=HELLO, stream=True)
    assert not any("usage" in chunk.model_fields_set for chunk in [chunk async for chunk in stream])


async def test_tools_named_by_the_user_are_called_at_once_with_fitting_arguments(
    openai_client: openai.AsyncOpenAI,
) -> None:
    asked: list[Any] = [{"role": "user", "content": "Please use get_weather and get_time"}]
    answer = await openai_client.chat.completions.create(model="gpt-5", messages=asked, tools=TOOLS)
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert json.loads(calls[0].function.arguments) == {"city": "simulated city", "unit": "C", "days": 3}
    assert answer.choices[0].finish_reason == "tool_calls"

    alone = await openai_client.chat.completions.create(
        model="gpt-5", messages=asked, tools=TOOLS, parallel_tool_calls=False
    )
    assert len(alone.choices[0].message.tool_calls or []) == 1

    results = [{"role": "tool", "tool_call_id": call.id, "content": f"result {at}"} for at, call in enumerate(calls)]
    turn = [*asked, answer.choices[0].message.model_dump(exclude_none=True), *results]
    quoted = await openai_client.chat.completions.create(model="gpt-5", messages=turn, tools=TOOLS)
    assert "result 0" in (quoted.choices[0].message.content or "")
    assert "result 1" in (quoted.choices[0].message.content or "")


async def test_tools_are_left_alone_unless_asked_for(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(model="gpt-5", messages=HELLO, tools=TOOLS)
    assert answer.choices[0].message.tool_calls is None
    forced = await openai_client.chat.completions.create(
        model="gpt-5",
        messages=HELLO,
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "get_time"}},
    )
    assert [call.function.name for call in forced.choices[0].message.tool_calls or []] == ["get_time"]


async def test_structured_output_fits_its_schema(openai_client: openai.AsyncOpenAI) -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "weather", "schema": WEATHER}}
    answer = await openai_client.chat.completions.create(model="gpt-5", messages=HELLO, response_format=schema)
    assert json.loads(answer.choices[0].message.content or "")["unit"] == "C"


async def test_reasoning_is_shown_and_counted_within_the_output(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(model="gpt-5", messages=HELLO, reasoning_effort="high")
    usage = answer.usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert 0 < (usage.completion_tokens_details.reasoning_tokens or 0) < usage.completion_tokens
    assert (answer.choices[0].message.model_extra or {})["reasoning_content"]


async def test_a_limit_cuts_the_answer_to_exactly_that_many_tokens(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(model="gpt-5", messages=HELLO, max_completion_tokens=4)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4


async def test_an_image_is_accepted_and_counted(openai_client: openai.AsyncOpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    turn: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "Hello"}, image]}]
    with_image = await openai_client.chat.completions.create(model="gpt-5", messages=turn)
    without = await openai_client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert "1 image" in (with_image.choices[0].message.content or "")
    assert with_image.usage is not None
    assert without.usage is not None
    assert with_image.usage.prompt_tokens > without.usage.prompt_tokens


async def test_a_long_prompt_is_read_from_the_cache_the_second_time(openai_client: openai.AsyncOpenAI) -> None:
    turn: list[Any] = [{"role": "system", "content": "rule " * 1000}, *HELLO]
    cached = []
    for _ in range(2):
        answer = await openai_client.chat.completions.create(model="gpt-5", messages=turn)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        cached.append(answer.usage.prompt_tokens_details.cached_tokens or 0)
    assert cached[0] == 0
    assert cached[1] >= 1024
    assert cached[1] % 128 == 0


class TestRefusals:
    @pytest.fixture
    def settings(self) -> SimulatorSettings:
        return SimulatorSettings(models=("gpt-5",), key="sk-right-key")

    async def test_wrong_key(self, openai_client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.AuthenticationError) as caught:
            await openai_client.chat.completions.create(model="gpt-5", messages=HELLO)
        assert caught.value.code == "invalid_api_key"
        assert "sk-test-1234" not in str(caught.value)

    async def test_unknown_model(self, openai_client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as caught:
            await openai_client.with_options(api_key="sk-right-key").chat.completions.create(
                model="gpt-6", messages=HELLO
            )
        assert caught.value.code == "model_not_found"
        assert caught.value.request_id

    async def test_the_models_are_listed(self, openai_client: openai.AsyncOpenAI) -> None:
        listed = await openai_client.with_options(api_key="sk-right-key").models.list()
        assert [model.id for model in listed.data] == ["gpt-5"]


@pytest.mark.parametrize("messages", [[{"role": "user", "content": 5}], "not a list"], ids=["content", "messages"])
async def test_a_body_of_another_shape_is_a_bad_request(openai_client: openai.AsyncOpenAI, messages: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await openai_client.chat.completions.create(model="gpt-5", messages=messages)
    assert caught.value.type == "invalid_request_error"
