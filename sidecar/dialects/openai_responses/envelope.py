"""A request on its way through: what routing needs of it, and the same body with the target's name of the model."""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.bundle import Capability
from sidecar.dialects.base import BODY_ALONE, Envelope, InPath
from sidecar.dialects.beginning import beginning
from sidecar.dialects.estimate import TextCount, estimate_text_tokens, estimate_tokens, is_inline
from sidecar.dialects.openai_responses.fields import is_given, read_field
from sidecar.dialects.openai_responses.reasoning import FOREIGN, SEALED, is_foreign
from sidecar.dialects.openai_responses.server_tools import is_foreign_call
from sidecar.errors import MalformedRequest

_TOP_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MEDIA_HINTS = (b'"input_image"', b'"input_file"')
_DATA_URL = b";base64,"
"""Before any bytes that are no text: those of parts, and of a computer's screenshot, which is no part."""
_READ_BY_THE_MODEL_TOO = ("instructions", "tools", "text")
_STANDS_FOR_INPUT = ("previous_response_id", "conversation", "prompt")
"""With one of these the provider has something to answer already."""


class _Format(msgspec.Struct):
    type: str = ""


class _Text(msgspec.Struct):
    format: _Format | None = None


class _Effort(msgspec.Struct):
    effort: str | None = None


class _PeekedPart(msgspec.Struct):
    type: str = ""
    image_url: msgspec.Raw = msgspec.Raw()
    file_data: msgspec.Raw = msgspec.Raw()


class _PeekedItem(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    """Of a message: a string, or parts."""
    output: msgspec.Raw = msgspec.Raw()
    """Of a tool: a string, or parts."""


class _PeekedReasoning(msgspec.Struct):
    id: object = None
    encrypted_content: object = None


_PEEK = msgspec.json.Decoder(list[_PeekedItem])
_PEEK_PARTS = msgspec.json.Decoder(list[_PeekedPart])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_PEEK_REASONING = msgspec.json.Decoder(_PeekedReasoning)

_NEEDED_BY_PART: Mapping[str, Capability] = {"input_image": "vision", "input_file": "files"}


def open_envelope(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    """What routing needs of the body. Items stay raw unless their bytes hint at images or files.

    Raises:
        MalformedRequest: names the field and what would be right.
    """
    fields = _top_level(body)
    items = _input(fields)
    parts = _media_parts(items)
    return Envelope(
        body=body,
        fields=fields,
        model=_model(fields),
        stream=read_field(fields, "stream", bool, "true or false") or False,
        wants_usage=True,
        needs=_needs(fields, parts),
        input_tokens=_input_tokens(fields, items, parts, count_text),
        max_output_tokens=_max_output_tokens(fields),
        metadata=_metadata(fields),
        continues=read_field(fields, "previous_response_id", str, "the id of an earlier answer") or None,
    )


def forward(envelope: Envelope, model: str) -> bytes:
    """The caller's body with the target's name of the model. Every other field keeps its exact bytes and its place.

    Thinking of another vendor is left out, and what its own tools did. They come from an answer of a target that this
    conversation went to before; OpenAI refuses a request for them.
    """
    fields = dict(envelope.fields)
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    items = bytes(fields.get("input", b""))
    if items.startswith(b"[") and any(mark in items for mark in _FOREIGN_MARKS):
        kept = [item for item in _ITEMS.decode(items) if not _is_foreign(item)]
        fields["input"] = msgspec.Raw(msgspec.json.encode(kept))
    return msgspec.json.encode(fields)


def beginning_of(envelope: Envelope) -> bytes:
    """As in Chat Completions, unless OpenAI keeps the conversation, or the answer that this goes on from."""
    fields = envelope.fields
    if envelope.continues is not None:
        return envelope.continues.encode()
    if is_given(fields, "conversation"):
        return bytes(fields["conversation"])
    return beginning(fields.get("instructions"), turns=fields.get("input"))


_FOREIGN_MARKS = (f'"{FOREIGN}'.encode(), f'"{SEALED}'.encode())


def _is_foreign(item: msgspec.Raw) -> bool:
    raw = bytes(item)
    if not any(mark in raw for mark in _FOREIGN_MARKS):
        return False
    try:
        peeked = _PEEK_REASONING.decode(raw)
    except msgspec.ValidationError:  # not an object: the provider says what it thinks of that
        return False
    return is_foreign(peeked.encrypted_content) or is_foreign_call(peeked.id)


def _top_level(body: bytes) -> dict[str, msgspec.Raw]:
    if not body.strip():
        raise MalformedRequest("the body is empty: send a JSON object with `model` and `input`")
    try:
        return _TOP_LEVEL.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedRequest("the body must be a JSON object with `model` and `input`") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequest(f"the body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise MalformedRequest("the body is nested too deeply") from error


def _model(fields: Mapping[str, msgspec.Raw]) -> str:
    model = read_field(fields, "model", str, "a string: a use case, or a name that one goes by")
    if not model:
        raise MalformedRequest("`model` is missing: name a use case, or a name that one goes by")
    return model


def _input(fields: Mapping[str, msgspec.Raw]) -> bytes:
    raw = bytes(fields.get("input", b"null"))
    if raw == b"null":
        if any(is_given(fields, name) for name in _STANDS_FOR_INPUT):
            return b""
        raise MalformedRequest("`input` is missing: send a text, or an array with at least one item")
    if not raw.startswith((b'"', b"[")):
        raise MalformedRequest("`input` must be a text or an array of items")
    if _is_empty(raw) and not any(is_given(fields, name) for name in _STANDS_FOR_INPUT):
        raise MalformedRequest("`input` is empty: send a text, or at least one item")
    return raw


def _is_empty(raw: bytes) -> bool:
    """A text, an array or an object without anything in it, or null."""
    return raw == b"null" or not raw[1:-1].strip()


def _media_parts(items: bytes) -> list[_PeekedPart]:
    # Most conversations are plain text: one look tells, and a look at a long one costs.
    if not items.startswith(b"[") or not any(hint in items for hint in _MEDIA_HINTS):
        return []
    try:
        return [part for item in _PEEK.decode(items) for part in _parts_of(item) if part.type in _NEEDED_BY_PART]
    except msgspec.ValidationError as error:
        raise MalformedRequest(f"`input`: {error}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest("`input` is not valid JSON text") from error


def _parts_of(item: _PeekedItem) -> list[_PeekedPart]:
    held = (bytes(item.content), bytes(item.output))
    # Items of the provider's own tools may keep anything in these fields.
    return [
        part
        for raw in held
        if raw.startswith(b"[") and any(hint in raw for hint in _MEDIA_HINTS)
        for part in _PEEK_PARTS.decode(raw)
    ]


def _input_tokens(
    fields: Mapping[str, msgspec.Raw], items: bytes, parts: list[_PeekedPart], count_text: TextCount
) -> int:
    rest = sum(count_text(bytes(fields[name])) for name in _READ_BY_THE_MODEL_TOO if name in fields)
    if not parts and _DATA_URL not in items:
        return count_text(items) + rest
    linked = sum(not (bytes(part.file_data) or is_inline(bytes(part.image_url))) for part in parts)
    return estimate_tokens(items, linked_media=linked, count_text=count_text) + rest


def _needs(fields: Mapping[str, msgspec.Raw], parts: list[_PeekedPart]) -> frozenset[Capability]:
    needs: set[Capability] = {_NEEDED_BY_PART[part.type] for part in parts}
    if "tools" in fields and not _is_empty(bytes(fields["tools"])):
        needs.add("tools")
    text = read_field(fields, "text", _Text, "an object with a `format`")
    if text is not None and text.format is not None and text.format.type == "json_schema":
        needs.add("json_schema")
    reasoning = read_field(fields, "reasoning", _Effort, "an object with an `effort`")
    if reasoning is not None and reasoning.effort not in (None, "none"):
        needs.add("reasoning")
    return frozenset(needs)


def _max_output_tokens(fields: Mapping[str, msgspec.Raw]) -> int | None:
    tokens = read_field(fields, "max_output_tokens", int, "a whole number of tokens")
    if tokens is not None and tokens < 1:
        raise MalformedRequest("`max_output_tokens` must be at least 1")
    return tokens


def _metadata(fields: Mapping[str, msgspec.Raw]) -> Mapping[str, str]:
    """Only what a rule may look at: names that stand for a string."""
    metadata: Mapping[str, Any] = read_field(fields, "metadata", dict[str, Any], "an object of strings") or {}
    return {name: value for name, value in metadata.items() if isinstance(value, str)}
