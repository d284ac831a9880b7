"""Plain answers: chat completions to canonical and back. What streams share with them stands here too."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    Citation,
    Reasoning,
    RedactedReasoning,
    Refusal,
    ServerCall,
    Text,
    TokenLogprob,
    ToolCall,
)
from sidecar.canonical.response import ChatResponse, Choice, FinishReason
from sidecar.dialects.base import PlainAnswer
from sidecar.dialects.beside_text import (
    UrlCitation,
    WireLogprob,
    decode_citations,
    decode_logprobs,
    openai_logprobs,
    placed,
    url_citation,
)
from sidecar.dialects.kinds import kind_of
from sidecar.dialects.openai_chat.usage import WireUsage, decode_usage, encode_usage
from sidecar.dialects.redact import redact
from sidecar.errors import CannotCarry, MalformedAnswer

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "model_length": "length",  # Mistral: the model's own limit, not the caller's
}

_BROKEN_OFF = frozenset({"error", "abort", "insufficient_system_resource"})
"""Mistral's, vLLM's and DeepSeek's words for an answer that they could not finish."""

_FINISH_OUT: dict[FinishReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "pause": "length",  # the answer is not whole, and this is the only word that says so
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


def decode_finish(word: str) -> FinishReason | None:
    """None: the provider broke off, and the answer is not whole. A word that we do not know ends a whole answer."""
    return None if word in _BROKEN_OFF else _FINISH.get(word, "stop")


def encode_finish(finish: FinishReason) -> str:
    return _FINISH_OUT[finish]


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None


class Annotation(msgspec.Struct):
    url_citation: UrlCitation | None = None


class Logprobs(msgspec.Struct):
    content: list[WireLogprob] | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    annotations: list[Annotation] | None = None
    reasoning_content: str | None = None
    """DeepSeek, vLLM, llama.cpp."""
    reasoning: str | None = None
    """The same by OpenRouter's and vLLM's newer name."""
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    logprobs: Logprobs | None = None
    index: int = 0
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None
    id: str = ""
    model: str = ""
    created: int | None = None
    usage: WireUsage | None = None
    service_tier: object = None
    error: object = None


class _Peeked(msgspec.Struct):
    """What passes through is not looked at further than the books need."""

    choices: list[msgspec.Raw] | None = None
    model: str = ""
    usage: WireUsage | None = None
    service_tier: object = None
    error: object = None


_COMPLETION = msgspec.json.Decoder(_Completion)
_PEEK = msgspec.json.Decoder(_Peeked)


def read_answer(body: bytes) -> PlainAnswer:
    answer = _parse(body, _PEEK)
    return PlainAnswer(model=answer.model, usage=decode_usage(answer.usage, answer.service_tier))


def decode_response(body: bytes) -> ChatResponse:
    completion = _parse(body, _COMPLETION)
    choices = sorted(completion.choices or (), key=lambda choice: choice.index)
    return ChatResponse(
        id=completion.id,
        model=completion.model,
        created=completion.created,
        choices=tuple(_decode_choice(choice) for choice in choices),
        usage=decode_usage(completion.usage, completion.service_tier),
    )


def _parse(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    start = body.lstrip()[:1]
    if not start:
        raise MalformedAnswer("the provider answered with an empty body")
    if start == b"<":
        raise MalformedAnswer("the provider answered with an HTML page, not a chat completion")
    try:
        answer = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedAnswer(f"the provider's answer is not a chat completion: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer("the provider's answer is not valid JSON") from error
    if answer.error is not None:
        raise MalformedAnswer(f"the provider answered with an error under status 200: {message_of(answer.error)}")
    if not answer.choices:
        raise MalformedAnswer("the provider's answer has no choices")
    return answer


def message_of(error: object) -> str:
    """The text of an `error` member, fit to be shown."""
    text = error.get("message") if isinstance(error, dict) else error
    return redact(text) if isinstance(text, str) and text else "no reason given"


def _decode_choice(choice: _Choice) -> Choice:
    finish = decode_finish(choice.finish_reason or "stop")
    if finish is None:
        raise MalformedAnswer(f"the provider broke the answer off: finish reason {choice.finish_reason}")
    return Choice(parts=tuple(_decode_parts(choice.message, choice.logprobs)), finish=finish)


def decode_annotations(annotations: Iterable[Annotation] | None) -> tuple[Citation, ...]:
    return decode_citations(each.url_citation for each in annotations or () if each.url_citation is not None)


def _decode_parts(message: _Message, logprobs: Logprobs | None) -> Iterable[AnyPart]:
    if reasoning := message.reasoning_content or message.reasoning:
        yield Reasoning(text=reasoning)
    if message.content:
        yield Text(
            text=message.content,
            citations=decode_annotations(message.annotations),
            logprobs=decode_logprobs(logprobs.content) if logprobs is not None else (),
        )
    if message.refusal:
        yield Refusal(text=message.refusal)
    for index, call in enumerate(message.tool_calls or ()):
        function = call.function
        if function is None:
            raise MalformedAnswer("the provider's answer has a tool call that is not a function call")
        yield ToolCall(id=call.id or call_id(index), name=function.name, arguments=function.arguments or "")


def call_id(index: int) -> str:
    """For a server that gives its calls no id: a caller needs one to send the result back."""
    return f"call_{index}"


def encode_response(response: ChatResponse) -> bytes:
    """A chat completion. `created` is 0 where the provider's dialect does not say it: SDKs read a number there."""
    body: dict[str, object] = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.created or 0,
        "model": response.model,
        "choices": [
            {
                "index": index,
                "message": _encode_message(choice.parts),
                "logprobs": encode_logprobs([each for text in _texts(choice.parts) for each in text.logprobs]),
                "finish_reason": encode_finish(choice.finish),
            }
            for index, choice in enumerate(response.choices)
        ],
    }
    if response.usage is not None:
        body["usage"] = msgspec.Raw(encode_usage(response.usage))
    return msgspec.json.encode(body)


def _texts(parts: Iterable[AnyPart]) -> list[Text]:
    return [part for part in parts if isinstance(part, Text)]


def encode_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, object] | None:
    return {"content": openai_logprobs(logprobs), "refusal": None} if logprobs else None


def encode_annotations(citations: Iterable[Citation], begin: int, end: int) -> list[dict[str, object]]:
    """Of a text that stands between two places of the message, which joins all of them."""
    return [
        {"type": "url_citation", "url_citation": url_citation(placed(citation, begin, end))} for citation in citations
    ]


def _encode_message(parts: Iterable[AnyPart]) -> dict[str, object]:
    texts: list[str] = []
    annotations: list[dict[str, object]] = []
    reasoning: list[str] = []
    refusals: list[str] = []
    calls: list[dict[str, object]] = []
    for part in parts:
        match part:
            case Text():
                begin = sum(map(len, texts))
                annotations += encode_annotations(part.citations, begin, begin + len(part.text))
                texts.append(part.text)
            case Reasoning():
                reasoning += [part.text] if part.text else []
            case RedactedReasoning():  # readable by its own vendor only, and by nobody through this dialect
                pass
            case ServerCall():  # chat tells what came of it, in the text and its annotations
                pass
            case Refusal():
                refusals.append(part.text)
            case ToolCall():
                calls.append(encode_tool_call(part))
            case _:
                raise CannotCarry(kind_of(part), f"{type(part).__name__.lower()} in an answer")
    message: dict[str, object] = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    if annotations:
        message["annotations"] = annotations
    if reasoning:
        message["reasoning_content"] = "".join(reasoning)
    if calls:
        message["tool_calls"] = calls
    return message


def encode_tool_call(call: ToolCall) -> dict[str, object]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
