"""What a model answered, and how graders look into it. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from schemas.eval_files import within

_FENCE: Final = re.compile(r"\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any] | None
    """None where they are no JSON object."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    """As OpenAI's Chat Completions has it: `stop`, `length`, `tool_calls`, `content_filter`."""
    refusal: str = ""


def parse_answer(body: object) -> Answer:
    """The body of a chat completion.

    Raises:
        ValueError: it is none.
    """
    try:
        choice = body["choices"][0]  # type: ignore[index]
        message = choice["message"]
        calls = message.get("tool_calls") or []
        return Answer(
            text=_text_of(message.get("content")),
            tool_calls=tuple(
                ToolCall(str(call["function"]["name"]), _object(call["function"].get("arguments"))) for call in calls
            ),
            finish=str(choice.get("finish_reason") or "stop"),
            refusal=str(message.get("refusal") or ""),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError("the answer is no chat completion") from error


def json_in(text: str) -> Any:
    """The JSON value that a text is, with or without a fence around it.

    Raises:
        ValueError: it is none.
    """
    fenced = _FENCE.fullmatch(text)
    try:
        return json.loads(fenced[1] if fenced else text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def text_in(text: str, field: str | None) -> str | None:
    """The answer's text, or what stands at a field of the JSON that it is; None where nothing does."""
    if field is None:
        return text
    try:
        found = within(json_in(text), field)
    except ValueError:
        return None
    return None if found is None else plain(found)


def targets_in(target: Any, field: str | None) -> Iterator[str]:
    """What would be right, each as a text."""
    found = within(target, field)
    for one in found if isinstance(found, list) else [found]:
        if one is not None:
            yield plain(one)


def plain(value: Any) -> str:
    """A value as a model would write it."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False, default=float)


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content)
    return str(content or "")


def _object(arguments: Any) -> Mapping[str, Any] | None:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return None
    return arguments if isinstance(arguments, dict) else None
