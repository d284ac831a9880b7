"""Agents for tests: the official SDKs, one class each with the same methods, so that a test asks both the same thing.

What an SDK hands its user is read here in one shape, `Heard`; nothing of the wire is looked at.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import anthropic
import openai

from schemas.record import Usage

NO_KEY = "no-key-is-asked-for"
MAX_TOKENS = 2048
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome", "Lima"]}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""A PNG image of one pixel."""


@dataclass(frozen=True)
class Called:
    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Heard:
    """What an agent heard, in no dialect's words."""

    text: str
    finish: str
    """`done`, `tools`, `length` or `refused`."""
    usage: Usage
    cost_usd: Decimal | None
    """From the header of a plain answer, or from the final usage object of a stream."""
    headers: Mapping[str, str]
    calls: tuple[Called, ...] = ()
    reasoning: str = ""
    turn: Any = None
    """The answer as its SDK's next request takes it back."""

    @property
    def request_id(self) -> str:
        return self.headers["x-pointsman-request-id"]


class Agent(Protocol):
    """`wish` is one of WISHES below: what is asked for besides a text."""

    dialect: str
    path: str
    end_mark: bytes
    """What only a whole stream ends with."""

    def plain(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard: ...

    def streamed(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard: ...

    def leave_early(self, model: str, question: str) -> tuple[str, str]:
        """Begins a stream and closes it after the first text: the request id and that text."""
        ...

    def answer_tools(self, model: str, question: str, heard: Heard, result: str, *, stream: bool) -> Heard:
        """The next turn: what the tools gave."""
        ...

    def body(self, model: str, question: str, *, stream: bool) -> dict[str, Any]:
        """The same request as JSON, for those who look at bytes."""
        ...


WISHES = ("text", "tool", "schema", "image", "reasoning")


class OpenAIAgent:
    dialect = "openai"
    path = "/v1/chat/completions"
    end_mark = b"[DONE]"
    finishes = {"stop": "done", "tool_calls": "tools", "length": "length", "content_filter": "refused"}  # noqa: RUF012

    def __init__(self, url: str, key: str = NO_KEY, *, limit: int = MAX_TOKENS, **options: Any) -> None:
        self.limit = limit
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, **options)

    def plain(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard:
        request = {"model": model, **self._asked(question, wish), **more}
        raw = self.client.chat.completions.with_raw_response.create(**request)
        return self._heard(raw.parse(), raw.headers)

    def streamed(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard:
        request = {"model": model, **self._asked(question, wish), **more}
        return self._stream(request)

    def leave_early(self, model: str, question: str) -> tuple[str, str]:
        request = {"model": model, **self._asked(question, "text")}
        with self.client.chat.completions.with_streaming_response.create(**request, stream=True) as raw:
            for chunk in raw.parse():
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    return raw.headers["x-pointsman-request-id"], text
        raise AssertionError("the stream held no text")

    def answer_tools(self, model: str, question: str, heard: Heard, result: str, *, stream: bool) -> Heard:
        results = [{"role": "tool", "tool_call_id": call.id, "content": result} for call in heard.calls]
        messages = [{"role": "user", "content": question}, heard.turn, *results]
        request = {"model": model, **self._asked(question, "tool"), "messages": messages}
        return self._stream(request) if stream else self.plain(model, question, "tool", messages=messages)

    def body(self, model: str, question: str, *, stream: bool) -> dict[str, Any]:
        return {"model": model, **self._asked(question, "text"), "stream": stream}

    def _asked(self, question: str, wish: str) -> dict[str, Any]:
        content: Any = question
        if wish == "image":
            url = f"data:image/png;base64,{PIXEL}"
            content = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": url}}]
        schema = {"name": "forecast", "schema": WEATHER, "strict": True}
        knobs: dict[str, dict[str, Any]] = {
            "tool": {"tools": [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]},
            "schema": {"response_format": {"type": "json_schema", "json_schema": schema}},
            "reasoning": {"reasoning_effort": "low"},
        }
        limit = {"max_completion_tokens": self.limit}
        return {"messages": [{"role": "user", "content": content}], **limit, **knobs.get(wish, {})}

    def _heard(self, answer: Any, headers: Any) -> Heard:
        choice, cost = answer.choices[0], headers.get("x-pointsman-cost-usd")
        message = choice.message
        return Heard(
            text=message.content or "",
            finish=self.finishes[choice.finish_reason],
            usage=self._usage(answer.usage),
            cost_usd=None if cost is None else Decimal(cost),
            headers=headers,
            calls=tuple(
                Called(call.id, call.function.name, json.loads(call.function.arguments))
                for call in message.tool_calls or ()
            ),
            reasoning=getattr(message, "reasoning_content", None) or "",
            turn=message.model_dump(exclude_none=True),
        )

    def _stream(self, request: dict[str, Any]) -> Heard:
        raw = self.client.chat.completions.with_raw_response.create(
            **request, stream=True, stream_options={"include_usage": True}
        )
        text, reasoning, finish, usage = "", "", "", None
        calls: dict[int, dict[str, str]] = {}
        for chunk in raw.parse():
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                finish = choice.finish_reason or finish
                for part in choice.delta.tool_calls or ():
                    call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                    call["id"] += part.id or ""
                    call["name"] += part.function.name or ""
                    call["arguments"] += part.function.arguments or ""
        assert usage is not None, "the stream ended without usage"
        cost = (usage.model_extra or {}).get("cost_usd")
        functions = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in calls.values()
        ]
        return Heard(
            text=text,
            finish=self.finishes[finish],
            usage=self._usage(usage),
            cost_usd=None if cost is None else Decimal(str(cost)),
            headers=raw.headers,
            calls=tuple(Called(call["id"], call["name"], json.loads(call["arguments"])) for call in calls.values()),
            reasoning=reasoning,
            turn={"role": "assistant", "content": text or None, "tool_calls": functions},
        )

    def _usage(self, usage: Any) -> Usage:
        prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
        return Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cache_read_tokens=(prompt and prompt.cached_tokens) or 0,
            cache_write_tokens=getattr(prompt, "cache_write_tokens", None) or 0,
            reasoning_tokens=(completion and completion.reasoning_tokens) or 0,
        )


class ResponsesAgent:
    """The same SDK by its other API."""

    dialect = "openai-responses"
    path = "/v1/responses"
    end_mark = b"response.completed"

    def __init__(self, url: str, key: str = NO_KEY, *, limit: int = MAX_TOKENS, **options: Any) -> None:
        self.limit = limit
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, **options)

    def plain(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard:
        raw = self.client.responses.with_raw_response.create(**self._request(model, question, wish, more))
        answer, cost = raw.parse(), raw.headers.get("x-pointsman-cost-usd")
        return self._heard(answer, None if cost is None else Decimal(cost), raw.headers)

    def streamed(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard:
        raw = self.client.responses.with_raw_response.create(**self._request(model, question, wish, more), stream=True)
        text, reasoning, number, last = "", "", -1, None
        for event in raw.parse():
            number, last = number + 1, event
            assert getattr(event, "sequence_number", number) in (number, None)  # llama.cpp does not number its events
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.reasoning_summary_text.delta":
                reasoning += event.delta
        if last is None or last.type not in ("response.completed", "response.incomplete"):
            raise AssertionError(f"the stream ended with {last}")
        cost = (last.response.usage.model_extra or {}).get("cost_usd")
        heard = self._heard(last.response, None if cost is None else Decimal(str(cost)), raw.headers)
        assert (heard.text, heard.reasoning) == (text, reasoning)
        return heard

    def leave_early(self, model: str, question: str) -> tuple[str, str]:
        request = self._request(model, question, "text", {})
        with self.client.responses.with_streaming_response.create(**request, stream=True) as raw:
            for event in raw.parse():
                if event.type == "response.output_text.delta":
                    return raw.headers["x-pointsman-request-id"], event.delta
        raise AssertionError("the stream held no text")

    def answer_tools(self, model: str, question: str, heard: Heard, result: str, *, stream: bool) -> Heard:
        results = [{"type": "function_call_output", "call_id": call.id, "output": result} for call in heard.calls]
        items = [{"role": "user", "content": question}, *heard.turn, *results]
        method = self.streamed if stream else self.plain
        return method(model, question, "tool", input=items)

    def body(self, model: str, question: str, *, stream: bool) -> dict[str, Any]:
        return {**self._request(model, question, "text", {}), "stream": stream}

    def _request(self, model: str, question: str, wish: str, more: dict[str, Any]) -> dict[str, Any]:
        content: Any = question
        if wish == "image":
            url = f"data:image/png;base64,{PIXEL}"
            image = {"type": "input_image", "image_url": url, "detail": "auto"}
            content = [{"type": "input_text", "text": question}, image]
        schema = {"type": "json_schema", "name": "forecast", "schema": WEATHER, "strict": True}
        knobs: dict[str, dict[str, Any]] = {
            "tool": {"tools": [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}]},
            "schema": {"text": {"format": schema}},
            "reasoning": {"reasoning": {"effort": "low"}},
        }
        if "messages" in more:
            more = {name: value for name, value in more.items() if name != "messages"} | {
                "input": [message | {"content": _as_input(message["content"])} for message in more["messages"]]
            }
        limit = {"max_output_tokens": self.limit}
        return {"model": model, "input": [{"role": "user", "content": content}], **limit, **knobs.get(wish, {}), **more}

    def _heard(self, answer: Any, cost: Decimal | None, headers: Any) -> Heard:
        calls = [item for item in answer.output if item.type == "function_call"]
        thoughts = [item for item in answer.output if item.type == "reasoning"]
        usage = answer.usage
        return Heard(
            text=answer.output_text,
            finish=self._finish(answer, calls),
            usage=Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.input_tokens_details.cached_tokens,
                cache_write_tokens=usage.input_tokens_details.cache_write_tokens or 0,
                reasoning_tokens=usage.output_tokens_details.reasoning_tokens if usage.output_tokens_details else 0,
            ),
            cost_usd=cost,
            headers=headers,
            calls=tuple(Called(call.call_id, call.name, json.loads(call.arguments)) for call in calls),
            reasoning="".join(part.text for item in thoughts for part in item.summary),
            turn=[item.to_dict() for item in answer.output],
        )

    def _finish(self, answer: Any, calls: list[Any]) -> str:
        if answer.status == "incomplete":
            reasons = {"max_output_tokens": "length", "content_filter": "refused"}
            return reasons[answer.incomplete_details.reason]
        return "tools" if calls else "done"


def _as_input(parts: Any) -> Any:
    """Chat's text parts, and the marks on them, by this API's names."""
    return [
        {"type": "input_text", "text": part["text"]}
        | ({"prompt_cache_breakpoint": {"mode": "explicit"}} if "cache_control" in part else {})
        for part in parts
    ]


class AnthropicAgent:
    dialect = "anthropic"
    path = "/v1/messages"
    end_mark = b"message_stop"
    finishes = {"end_turn": "done", "tool_use": "tools", "max_tokens": "length", "refusal": "refused"}  # noqa: RUF012

    def __init__(self, url: str, key: str = NO_KEY, *, limit: int = MAX_TOKENS, **options: Any) -> None:
        self.limit = limit
        self.client = anthropic.Anthropic(base_url=url, api_key=key, **options)

    def plain(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard:
        request = {"model": model, **self._asked(question, wish), **more}
        raw = self.client.messages.with_raw_response.create(**request)
        message = raw.parse()
        cost = raw.headers.get("x-pointsman-cost-usd")
        return self._heard(message, message.usage, None if cost is None else Decimal(cost), raw.headers)

    def streamed(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard:
        return self._stream({"model": model, **self._asked(question, wish), **more})

    def leave_early(self, model: str, question: str) -> tuple[str, str]:
        request = {"model": model, **self._asked(question, "text")}
        with self.client.messages.with_streaming_response.create(**request, stream=True) as raw:
            for event in raw.parse():
                if event.type == "content_block_delta":
                    return raw.headers["x-pointsman-request-id"], event.delta.text
        raise AssertionError("the stream held no text")

    def answer_tools(self, model: str, question: str, heard: Heard, result: str, *, stream: bool) -> Heard:
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": result} for call in heard.calls]
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": heard.turn},
            {"role": "user", "content": results},
        ]
        request = {"model": model, **self._asked(question, "tool"), "messages": messages}
        return self._stream(request) if stream else self.plain(model, question, "tool", messages=messages)

    def body(self, model: str, question: str, *, stream: bool) -> dict[str, Any]:
        return {"model": model, **self._asked(question, "text"), "stream": stream}

    def _asked(self, question: str, wish: str) -> dict[str, Any]:
        content: Any = question
        if wish == "image":
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
            content = [{"type": "text", "text": question}, {"type": "image", "source": source}]
        knobs: dict[str, dict[str, Any]] = {
            "tool": {"tools": [{"name": "weather", "input_schema": WEATHER}]},
            "schema": {"output_config": {"format": {"type": "json_schema", "schema": WEATHER}}},
            "reasoning": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        }
        return {"messages": [{"role": "user", "content": content}], "max_tokens": self.limit, **knobs.get(wish, {})}

    def _stream(self, request: dict[str, Any]) -> Heard:
        usage = None
        with self.client.messages.stream(**request) as stream:
            for event in stream:
                if event.type == "message_delta":
                    usage = event.usage
            message, headers = stream.get_final_message(), stream.response.headers
        assert usage is not None, "the stream ended without usage"
        cost = (usage.model_extra or {}).get("cost_usd")
        return self._heard(message, usage, None if cost is None else Decimal(str(cost)), headers)

    def _heard(self, message: Any, usage: Any, cost: Decimal | None, headers: Any) -> Heard:
        read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        details = usage.output_tokens_details
        return Heard(
            text="".join(block.text for block in message.content if block.type == "text"),
            finish=self.finishes[message.stop_reason],
            usage=Usage(
                input_tokens=(usage.input_tokens or 0) + read + written,
                output_tokens=usage.output_tokens,
                cache_read_tokens=read,
                cache_write_tokens=written,
                reasoning_tokens=(details and details.thinking_tokens) or 0,
            ),
            cost_usd=cost,
            headers=headers,
            calls=tuple(
                Called(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"
            ),
            reasoning="".join(block.thinking for block in message.content if block.type == "thinking"),
            turn=message.content,
        )
