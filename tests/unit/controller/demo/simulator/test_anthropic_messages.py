"""The official Anthropic SDK against the simulated provider."""

import json
from typing import Any

import anthropic
import pytest
from anthropic.types import TextBlock, ThinkingBlock, ToolUseBlock

from controller.demo.simulator.settings import SimulatorSettings

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [
    {"name": "get_weather", "input_schema": WEATHER},
    {"name": "get_time", "input_schema": {"type": "object", "properties": {}}},
]
CLAUDE: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 200}


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": HELLO},
        {"messages": HELLO, "max_tokens": 5},
        {"messages": HELLO, "stop_sequences": ["answer"]},
        {"messages": HELLO, "thinking": {"type": "adaptive"}},
        {"messages": HELLO, "thinking": {"type": "adaptive", "display": "omitted"}},
        {"messages": HELLO, "tools": TOOLS, "tool_choice": {"type": "any"}},
        {"messages": HELLO, "output_config": {"format": {"type": "json_schema", "schema": WEATHER}}},
    ],
    ids=["text", "cut", "stop", "thinking", "hidden thinking", "tool", "json"],
)
async def test_plain_and_streamed_say_and_cost_the_same(
    anthropic_client: anthropic.AsyncAnthropic, request_: dict[str, Any]
) -> None:
    plain = await anthropic_client.messages.create(**CLAUDE | request_)
    async with anthropic_client.messages.stream(**CLAUDE | request_) as stream:
        streamed = await stream.get_final_message()

    def told(message: Any) -> Any:
        blocks = [block.model_dump(include={"type", "text", "thinking", "input", "name"}) for block in message.content]
        return blocks, message.stop_reason, message.stop_sequence, message.usage

    assert told(streamed) == told(plain)


async def test_the_answer_says_that_it_is_simulated_and_by_which_model(
    anthropic_client: anthropic.AsyncAnthropic,
) -> None:
    answer = await anthropic_client.messages.create(**CLAUDE, messages=HELLO)
    (block,) = answer.content
    assert isinstance(block, TextBlock)
    assert "Simulated" in block.text
    assert "claude-sonnet-4-6" in block.text
    assert answer.stop_reason == "end_turn"


async def test_tools_are_called_and_their_results_quoted(anthropic_client: anthropic.AsyncAnthropic) -> None:
    asked: list[Any] = [{"role": "user", "content": "Use get_weather and get_time"}]
    answer = await anthropic_client.messages.create(**CLAUDE, messages=asked, tools=TOOLS)
    calls = [block for block in answer.content if isinstance(block, ToolUseBlock)]
    assert [(call.name, call.input) for call in calls] == [
        ("get_weather", {"city": "simulated city"}),
        ("get_time", {}),
    ]
    assert answer.stop_reason == "tool_use"

    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"} for call in calls]
    turn = [*asked, answer.to_param(), {"role": "user", "content": results}]
    quoted = await anthropic_client.messages.create(**CLAUDE, messages=turn, tools=TOOLS)
    assert isinstance(quoted.content[0], TextBlock)
    assert "21 degrees" in quoted.content[0].text


async def test_thinking_is_signed_and_counted_within_the_output(anthropic_client: anthropic.AsyncAnthropic) -> None:
    answer = await anthropic_client.messages.create(**CLAUDE, messages=HELLO, thinking={"type": "adaptive"})
    thinking = answer.content[0]
    assert isinstance(thinking, ThinkingBlock)
    assert thinking.thinking
    assert thinking.signature
    assert answer.usage.output_tokens_details is not None
    assert 0 < answer.usage.output_tokens_details.thinking_tokens < answer.usage.output_tokens


async def test_structured_output_fits_its_schema(anthropic_client: anthropic.AsyncAnthropic) -> None:
    answer = await anthropic_client.messages.create(
        **CLAUDE, messages=HELLO, output_config={"format": {"type": "json_schema", "schema": WEATHER}}
    )
    assert isinstance(answer.content[0], TextBlock)
    assert json.loads(answer.content[0].text) == {"city": "simulated city"}


async def test_a_marked_prefix_is_written_once_and_then_read(anthropic_client: anthropic.AsyncAnthropic) -> None:
    system: list[Any] = [{"type": "text", "text": "rule " * 400, "cache_control": {"type": "ephemeral"}}]
    first = (await anthropic_client.messages.create(**CLAUDE, messages=HELLO, system=system)).usage
    second = (await anthropic_client.messages.create(**CLAUDE, messages=HELLO, system=system)).usage
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (500, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 500)
    assert first.input_tokens == second.input_tokens < 500
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_5m_input_tokens == 500


async def test_a_growing_conversation_reads_what_it_wrote(anthropic_client: anthropic.AsyncAnthropic) -> None:
    mark: Any = {"type": "ephemeral", "ttl": "1h"}
    first = await anthropic_client.messages.create(**CLAUDE, messages=HELLO, cache_control=mark)
    turn = [*HELLO, first.to_param(), {"role": "user", "content": "And now?"}]
    second = await anthropic_client.messages.create(**CLAUDE, messages=turn, cache_control=mark)
    assert second.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens
    assert second.usage.cache_creation is not None
    assert second.usage.cache_creation.ephemeral_1h_input_tokens == second.usage.cache_creation_input_tokens


async def test_counting_agrees_with_what_an_answer_reports(anthropic_client: anthropic.AsyncAnthropic) -> None:
    counted = await anthropic_client.messages.count_tokens(model="claude-sonnet-4-6", messages=HELLO, tools=TOOLS)
    answer = await anthropic_client.messages.create(**CLAUDE, messages=HELLO, tools=TOOLS)
    assert counted.input_tokens == answer.usage.input_tokens


async def test_sampling_is_refused_from_the_api_version_that_dropped_it(
    anthropic_client: anthropic.AsyncAnthropic,
) -> None:
    with pytest.raises(anthropic.BadRequestError, match="temperature: Extra inputs are not permitted"):
        await anthropic_client.messages.create(**CLAUDE, messages=HELLO, extra_body={"temperature": 1.0})
    older = {"anthropic-version": "2023-06-01"}
    await anthropic_client.messages.create(
        **CLAUDE, messages=HELLO, extra_body={"temperature": 1.0}, extra_headers=older
    )


class TestRefusals:
    @pytest.fixture
    def settings(self) -> SimulatorSettings:
        return SimulatorSettings(models=("claude-sonnet-4-6",), key="sk-right-key")

    async def test_wrong_key(self, anthropic_client: anthropic.AsyncAnthropic) -> None:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await anthropic_client.messages.create(**CLAUDE, messages=HELLO)
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["error"]["type"] == "authentication_error"
        assert caught.value.body["request_id"] == caught.value.request_id

    async def test_the_key_is_taken_from_either_header(self, anthropic_client: anthropic.AsyncAnthropic) -> None:
        await anthropic_client.with_options(api_key="sk-right-key").messages.create(**CLAUDE, messages=HELLO)
        await anthropic_client.messages.create(**CLAUDE, messages=HELLO, extra_headers={"x-api-key": "sk-right-key"})

    async def test_unknown_model(self, anthropic_client: anthropic.AsyncAnthropic) -> None:
        with pytest.raises(anthropic.NotFoundError, match="model: claude-0"):
            await anthropic_client.with_options(api_key="sk-right-key").messages.create(
                model="claude-0", max_tokens=5, messages=HELLO
            )

    async def test_the_models_are_listed(self, anthropic_client: anthropic.AsyncAnthropic) -> None:
        listed = await anthropic_client.with_options(api_key="sk-right-key").models.list()
        assert [model.id for model in listed.data] == ["claude-sonnet-4-6"]
