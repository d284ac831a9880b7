"""Items of our own answers: the same for the plain answer and for the stream, event by event and at its end."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

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
from sidecar.dialects.beside_text import openai_logprobs, placed, url_citation
from sidecar.dialects.kinds import kind_of
from sidecar.dialects.openai_responses.reasoning import SEALED, encode_signature, encode_summary
from sidecar.dialects.openai_responses.server_tools import encode_call
from sidecar.errors import CannotCarry

Item = Mapping[str, object]
ItemKind = Literal["msg", "fc", "rs"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]
MAX_ID_CHARACTERS = 64
"""Of an item that comes back with the next request (platform.openai.com, "Responses", `input`)."""


def item_id(kind: ItemKind, index: int, response_id: str) -> str:
    """Unique in a conversation, and with the prefix that the API expects of its kind."""
    return f"{kind}_{index}_{response_id}"[:MAX_ID_CHARACTERS]


def message_item(id_: str, content: Sequence[Item], status: ItemStatus) -> Item:
    return {"id": id_, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str, citations: Sequence[Citation] = (), logprobs: Sequence[TokenLogprob] = ()) -> Item:
    annotations = [annotation(placed(citation, 0, len(text))) for citation in citations]
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": openai_logprobs(logprobs)}


def annotation(citation: Citation) -> Item:
    return {"type": "url_citation", **url_citation(citation)}


def refusal_part(text: str) -> Item:
    return {"type": "refusal", "refusal": text}


def call_item(id_: str, call_id: str, name: str, arguments: str, status: ItemStatus) -> Item:
    return {
        "id": id_,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def reasoning_item(id_: str, text: str, encrypted: str, status: ItemStatus) -> Item:
    return {
        "id": id_,
        "type": "reasoning",
        "status": status,
        "summary": encode_summary(text),
        "encrypted_content": encrypted,
    }


def encode_items(parts: Iterable[AnyPart], response_id: str, last: ItemStatus) -> list[Item]:
    """Texts that follow each other are one message. The last item has the status of the whole answer.

    Raises:
        CannotCarry: a part that stands in no answer.
    """
    groups: list[list[AnyPart]] = []
    for part in parts:
        if _is_said(part) and groups and _is_said(groups[-1][-1]):
            groups[-1].append(part)
        else:
            groups.append([part])
    count = len(groups)
    return [
        _encode_item(group, index, response_id, last if index + 1 == count else "completed")
        for index, group in enumerate(groups)
    ]


def _is_said(part: AnyPart) -> bool:
    return isinstance(part, Text | Refusal)


def _encode_item(group: Sequence[AnyPart], index: int, response_id: str, status: ItemStatus) -> Item:
    match group[0]:
        case Text() | Refusal():
            content = [
                refusal_part(part.text)
                if isinstance(part, Refusal)
                else text_part(part.text, part.citations, part.logprobs)
                for part in group
                if isinstance(part, Text | Refusal)
            ]
            return message_item(item_id("msg", index, response_id), content, status)
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return call_item(item_id("fc", index, response_id), call_id, name, arguments, status)
        case ServerCall() as call:
            return encode_call(call)
        case Reasoning(text=text, signature=signature):
            return reasoning_item(item_id("rs", index, response_id), text, encode_signature(signature), status)
        case RedactedReasoning(data=data):
            return reasoning_item(item_id("rs", index, response_id), "", SEALED + data, status)
        case other:
            raise CannotCarry(kind_of(other), f"{type(other).__name__.lower()} in an answer")
