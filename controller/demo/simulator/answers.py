"""What a simulated model says: the text, tool calls or structured value that a request asks for. Pure.

The same request always gets the same answer, streamed or not, so its tokens can be counted before it is sent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from controller.demo.simulator.schema_values import value_for
from controller.demo.simulator.tokens import count_tokens, cut_to_tokens

QUOTED_CHARACTERS = 200
REASONING = "Simulated reasoning: no model thought here, these are words that cost tokens."


class Finish(StrEnum):
    DONE = "done"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    TOOL_CALLS = "tool_calls"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for, in no dialect's words."""

    model: str
    question: str
    """The text of the last user turn."""
    streamed: bool = False
    images: int = 0
    tools: tuple[Tool, ...] = ()
    """Only those that may be called: none when the request forbids it."""
    tool_results: tuple[str, ...] = ()
    """What the tools gave, when the request ends with that."""
    must_call: bool = False
    may_call_several: bool = True
    output_schema: Mapping[str, Any] | None = None
    reasons: bool = False
    stops: tuple[str, ...] = ()
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: str
    """JSON text; cut short when the answer ran into its token limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    reasoning: str
    text: str
    calls: tuple[ToolCall, ...]
    finish: Finish
    stop_sequence: str | None = None

    @property
    def reasoning_tokens(self) -> int:
        return count_tokens(self.reasoning)

    @property
    def output_tokens(self) -> int:
        """Everything generated; reasoning is a part of it."""
        calls = sum(count_tokens(call.name) + count_tokens(call.arguments) for call in self.calls)
        return self.reasoning_tokens + count_tokens(self.text) + calls


@dataclass(frozen=True, slots=True)
class Script:
    """What to say instead of what the request asks for, so that a quality bar has something to catch."""

    text: str | None = None
    refuses: bool = False
    breaks_arguments: bool = False
    """Tool arguments and structured values come as JSON that does not parse."""


def answer_to(ask: Ask, name: str, fill_to_tokens: int | None = None, script: Script | None = None) -> Answer:
    """The answer of the simulated provider called `name`, within the request's token limit and stop sequences."""
    script = script or Script()
    reasoning = REASONING if ask.reasons else ""
    if script.refuses:
        return _limited(ask, Answer(reasoning, "I can't help with that (simulated refusal).", (), Finish.REFUSAL))
    if script.text is not None:
        return _limited(ask, _stopped(ask, Answer(reasoning, script.text, (), Finish.DONE)))
    if called := _tools_called(ask):
        calls = tuple(ToolCall(tool.name, _json(value_for(tool.schema), script)) for tool in called)
        return _limited(ask, Answer(reasoning, "", calls, Finish.TOOL_CALLS))
    if ask.output_schema is not None:
        text = _json(value_for(ask.output_schema), script)
    else:
        text = _filled(_sentence(ask, name), fill_to_tokens)
    return _limited(ask, _stopped(ask, Answer(reasoning, text, (), Finish.DONE)))


def _sentence(ask: Ask, name: str) -> str:
    if ask.tool_results:
        return f"Simulated answer of {ask.model} at {name}. The tool says: {' | '.join(ask.tool_results)}"
    seen = f" with {ask.images} image{'s' if ask.images > 1 else ''}" if ask.images else ""
    return f'Simulated answer of {ask.model} at {name} to{seen}: "{ask.question[:QUOTED_CHARACTERS]}"'


def _filled(text: str, tokens: int | None) -> str:
    if tokens is None or count_tokens(text) >= tokens:
        return text
    filler = " These words are simulated."
    return cut_to_tokens(text + filler * tokens, tokens)


def _tools_called(ask: Ask) -> tuple[Tool, ...]:
    """The tools that the user's last words name; else the first, if one must be called or "a tool" is asked for."""
    if not ask.tools or ask.tool_results:
        return ()
    words = _words(ask.question)
    named = tuple(tool for tool in ask.tools if f" {_words(tool.name).strip()} " in words)
    wished = ask.must_call or " tool " in words or " tools " in words
    called = named or (ask.tools[:1] if wished else ())
    return called if ask.may_call_several else called[:1]


def _words(text: str) -> str:
    return f" {re.sub(r'[^a-z0-9]+', ' ', text.lower()).strip()} "


def _json(value: Any, script: Script) -> str:
    text = msgspec.json.encode(value).decode()
    return text[:-1] + ",," if script.breaks_arguments else text


def _stopped(ask: Ask, answer: Answer) -> Answer:
    found = [(answer.text.find(stop), stop) for stop in ask.stops if stop and stop in answer.text]
    if not found:
        return answer
    at, stop = min(found)
    return Answer(answer.reasoning, answer.text[:at], (), Finish.STOP_SEQUENCE, stop)


def _limited(ask: Ask, answer: Answer) -> Answer:
    """Reasoning, text and calls spend the limit in this order, as they are generated."""
    if ask.max_tokens is None or answer.output_tokens <= ask.max_tokens:
        return answer
    left = ask.max_tokens
    reasoning = cut_to_tokens(answer.reasoning, left)
    left -= count_tokens(reasoning)
    text = cut_to_tokens(answer.text, left)
    left -= count_tokens(text)
    calls: list[ToolCall] = []
    for call in answer.calls:
        left -= count_tokens(call.name)
        if left < 0:
            break
        arguments = cut_to_tokens(call.arguments, left)
        left -= count_tokens(arguments)
        calls.append(ToolCall(call.name, arguments))
    return Answer(reasoning, text, tuple(calls), Finish.MAX_TOKENS)


def pieces(text: str, at_most: int) -> list[str]:
    """The text in about equal parts, for a stream; the parts of an empty text are none."""
    size = max(1, -(-len(text) // max(1, at_most)))
    return [text[at : at + size] for at in range(0, len(text), size)]
