"""A Messages request as routing sees it: read once without decoding its messages, and passed on byte by byte."""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from schemas.bundle import Capability
from sidecar.dialects.anthropic.blocks import ABSENT, is_given
from sidecar.dialects.anthropic.fields import (
    STRING,
    THINKING,
    WHOLE,
    Disabled,
    is_filled_array,
    read_optional,
    read_output,
    read_required,
    read_value,
    starts_with,
)
from sidecar.dialects.anthropic.server_tools import RESULTS
from sidecar.dialects.base import BODY_ALONE, Envelope, InPath
from sidecar.dialects.beginning import beginning
from sidecar.dialects.estimate import TextCount, estimate_text_tokens, estimate_tokens
from sidecar.dialects.signatures import FOREIGN_MARKS, responses_item
from sidecar.errors import MalformedRequest


class _Glance(msgspec.Struct, frozen=True):
    """As much of a message or a block as tells what a target must be able to read."""

    type: str = ""
    source: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT


class _Source(msgspec.Struct, frozen=True):
    type: str = ""


class _Foreign(msgspec.Struct, frozen=True):
    """As much of a block as tells whose it is."""

    type: str = ""
    signature: object = None
    id: object = None
    tool_use_id: object = None


_FOREIGN = msgspec.json.Decoder(_Foreign)
_MESSAGES: msgspec.json.Decoder[Sequence[dict[str, msgspec.Raw]]] = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_BLOCKS: msgspec.json.Decoder[Sequence[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BOOLEAN = msgspec.json.Decoder(bool)
_METADATA = msgspec.json.Decoder(dict[str, msgspec.Raw])
_GLANCES = msgspec.json.Decoder(list[_Glance])
_SOURCE = msgspec.json.Decoder(_Source)


def open_envelope(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    fields = _top_level(body)
    model = _model(fields)
    max_tokens = read_required(fields, "max_tokens", WHOLE)
    if max_tokens < 0:
        raise MalformedRequest("max_tokens: must not be negative")
    return _envelope(body, fields, model, max_tokens, count_text)


def open_count(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    """A request to count tokens: a Messages request that asks for no answer (anthropic SDK,
    `message_count_tokens_params`)."""
    fields = _top_level(body)
    return _envelope(body, fields, _model(fields), 0, count_text)


def _top_level(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _FIELDS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"the body is not a JSON object: {error}") from error


def _model(fields: Mapping[str, msgspec.Raw]) -> str:
    model = read_required(fields, "model", STRING)
    if not model:
        raise MalformedRequest("model: must name a use case or a model")
    return model


def _envelope(
    body: bytes, fields: dict[str, msgspec.Raw], model: str, max_tokens: int, count_text: TextCount
) -> Envelope:
    if "messages" not in fields:
        raise MalformedRequest("messages: field required")
    if not is_filled_array(fields["messages"]):
        raise MalformedRequest("messages: must be an array with at least one message")
    needs, linked_media = _needs(body, fields)
    return Envelope(
        body=body,
        fields=fields,
        model=model,
        stream=read_optional(fields, "stream", _BOOLEAN) or False,
        wants_usage=True,
        needs=needs,
        input_tokens=_input_tokens(body, needs, linked_media, count_text),
        max_output_tokens=max_tokens,
        metadata=_metadata(fields),
    )


def _needs(body: bytes, fields: Mapping[str, msgspec.Raw]) -> tuple[frozenset[Capability], int]:
    """What a target must be able to do, and how many images and files are named by a URL or an id."""
    needs: set[Capability] = set()
    linked_media = 0
    # Only a body that holds these bytes can hold such a block; only a closer look tells that it does.
    if b'"image"' in body or b'"document"' in body:
        for block in _glances(fields["messages"]):
            if block.type in _MEDIA:
                needs.add(_MEDIA[block.type])
                linked_media += is_given(block.source) and _source_type(block.source) in ("url", "file")
    if "tools" in fields and is_filled_array(fields["tools"]):
        needs.add("tools")
    if read_output(fields).format is not None:
        needs.add("json_schema")
    thinking = read_optional(fields, "thinking", THINKING)
    if thinking is not None and not isinstance(thinking, Disabled):
        needs.add("reasoning")
    return frozenset(needs), linked_media


_MEDIA: Mapping[str, Capability] = {"image": "vision", "document": "files"}


def _input_tokens(body: bytes, needs: frozenset[Capability], linked_media: int, count_text: TextCount) -> int:
    if needs.isdisjoint(_MEDIA.values()):  # bytes that are no text stand in these blocks alone
        return count_text(body)
    return estimate_tokens(body, linked_media=linked_media, count_text=count_text)


def _glances(messages: msgspec.Raw) -> Iterator[_Glance]:
    for block in _glance_at("messages", messages):
        if starts_with(block.content, b"["):
            for inner in _glance_at("messages.content", block.content):
                yield inner
                # A tool's result may hold images and documents; nothing else does.
                if inner.type == "tool_result" and starts_with(inner.content, b"["):
                    yield from _glance_at("messages.content.content", inner.content)


def _glance_at(name: str, raw: msgspec.Raw) -> list[_Glance]:
    return read_value(name, raw, _GLANCES)


def _source_type(source: msgspec.Raw) -> str:
    return read_value("messages.content.source", source, _SOURCE).type


def _metadata(fields: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    entries = read_optional(fields, "metadata", _METADATA) or {}
    return {
        name: read_value(f"metadata.{name}", raw, STRING) for name, raw in entries.items() if starts_with(raw, b'"')
    }


def beginning_of(envelope: Envelope) -> bytes:
    """`metadata.user_id` names a person, not a conversation (anthropic SDK, `metadata_param`)."""
    return beginning(envelope.fields.get("system"), turns=envelope.fields["messages"])


_MODEL_FIELD = re.compile(rb'"model"[ \t\r\n]*:[ \t\r\n]*')
_MARKS = b"|".join(re.escape(mark.encode()) for mark in FOREIGN_MARKS)
_FOREIGN_HINT = re.compile(
    rb'"(?:signature|encrypted_index)"[ \t\r\n]*:[ \t\r\n]*"(?:"|%b)|"(?:tool_use_)?id"[ \t\r\n]*:[ \t\r\n]*"(?:%b)'
    % (_MARKS, _MARKS)
)
"""Stands in what another vendor thought, found or ran, as this sidecar has told it to the caller."""


_FOREIGN_WORDS = (b'"signature"', b'"encrypted_index"', *(mark.encode() for mark in FOREIGN_MARKS))
"""Where none of these stands in a body, nothing is foreign, and the body is not searched."""


def forward(envelope: Envelope, model: str) -> bytes:
    """Replaces the name of the model where it stands. Where the body says `"model"` more than once, only reading tells
    which one is the field: then the fields are written anew, each with its own bytes.

    Thinking without a signature of Anthropic's is left out, and so is what another vendor's own tools did. They come
    from an answer of another vendor, which this conversation went to before; Anthropic refuses a request for them.
    """
    named = msgspec.json.encode(model)
    body = envelope.body
    if any(word in body for word in _FOREIGN_WORDS) and _FOREIGN_HINT.search(body) is not None:
        messages = _without_foreign_blocks(envelope.fields["messages"])
        return msgspec.json.encode({**envelope.fields, "model": msgspec.Raw(named), "messages": messages})
    places = list(_MODEL_FIELD.finditer(body))
    old = bytes(envelope.fields["model"])
    if len(places) == 1 and body.startswith(old, places[0].end()):
        start = places[0].end()
        return body[:start] + named + body[start + len(old) :]
    return msgspec.json.encode({**envelope.fields, "model": msgspec.Raw(named)})


def _without_foreign_blocks(raw: msgspec.Raw) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = []
    for fields in read_value("messages", raw, _MESSAGES):
        content = fields.get("content", ABSENT)
        if not starts_with(content, b"["):
            messages.append({**fields})
            continue
        blocks = [own for block in read_value("messages.content", content, _BLOCKS) if (own := _own(block)) is not None]
        if blocks:
            messages.append({**fields, "content": blocks})
    return messages


def _own(block: msgspec.Raw) -> object | None:
    """The block, a text without citations of another vendor's, or None."""
    if _FOREIGN_HINT.search(block) is None:
        return block
    foreign = read_value("messages.content", block, _FOREIGN)
    match foreign.type:
        case "thinking":
            signature = foreign.signature
            is_unsigned = isinstance(signature, str) and (not signature or responses_item(signature) is not None)
            return None if is_unsigned else block
        case "text":
            fields = read_value("messages.content", block, _FIELDS)
            return {name: value for name, value in fields.items() if name != "citations"}
        case kind if kind == "server_tool_use" or kind in RESULTS:
            name = foreign.id if kind == "server_tool_use" else foreign.tool_use_id
            return None if isinstance(name, str) and name.startswith(FOREIGN_MARKS) else block
        case _:
            return block
