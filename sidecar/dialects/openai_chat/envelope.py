"""A request on its way through: what routing needs of it, and the same body with the target's name of the model."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from schemas.bundle import Capability
from sidecar.dialects.base import BODY_ALONE, Envelope, InPath
from sidecar.dialects.beginning import beginning
from sidecar.dialects.estimate import TextCount, estimate_text_tokens, estimate_tokens, is_inline
from sidecar.dialects.nullable import nullable
from sidecar.errors import MalformedRequest

T = TypeVar("T")

_TOP_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BLANK_OR_END = b" \t\n\r\v\f]}"
_MEDIA_HINTS = (b'"image_url"', b'"input_audio"', b'"file"')
_READ_BY_THE_MODEL_TOO = ("tools", "functions", "response_format")
_SAYING_NEEDS = frozenset({"tools", "functions", "response_format", "reasoning_effort", "modalities"})
NO_NEEDS: frozenset[Capability] = frozenset()


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _ResponseFormat(msgspec.Struct):
    type: str = ""


class _PeekedPart(msgspec.Struct):
    type: str = ""
    image_url: msgspec.Raw = msgspec.Raw()
    file: msgspec.Raw = msgspec.Raw()


class _PeekedMessage(msgspec.Struct):
    content: str | list[_PeekedPart] | None = None


_PEEK = msgspec.json.Decoder(list[_PeekedMessage])

_NEEDED_BY_PART: Mapping[str, Capability] = {"image_url": "vision", "file": "files", "input_audio": "audio"}


def open_envelope(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    """What routing needs of the body. Messages stay raw unless their bytes hint at images, files or sounds.

    Raises:
        MalformedRequest: names the field and what would be right.
    """
    fields = _top_level(body)
    messages = _messages(fields)
    stream_options = _field(fields, "stream_options", _StreamOptions, "an object")
    parts = _media_parts(messages)
    return Envelope(
        body=body,
        fields=fields,
        model=_model(fields),
        stream=_field(fields, "stream", bool, "true or false") or False,
        wants_usage=stream_options is not None and bool(stream_options.include_usage),
        needs=_needs(fields, parts),
        input_tokens=_input_tokens(fields, messages, parts, count_text),
        max_output_tokens=_max_output_tokens(fields),
        metadata=_metadata(fields),
    )


def forward(envelope: Envelope, model: str) -> bytes:
    """The caller's body with the target's name of the model; a stream always asks for usage.

    Every other field keeps its exact bytes and its place.
    """
    fields = dict(envelope.fields)
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    if envelope.stream and not envelope.wants_usage:
        options = _field(fields, "stream_options", dict[str, msgspec.Raw], "an object") or {}
        options["include_usage"] = msgspec.Raw(b"true")
        fields["stream_options"] = msgspec.Raw(msgspec.json.encode(options))
    return msgspec.json.encode(fields)


def beginning_of(envelope: Envelope) -> bytes:
    """`prompt_cache_key` and `user` name no conversation: the one is for all requests that begin alike, the other for
    all of one person (openai SDK, `completion_create_params`)."""
    return beginning(turns=envelope.fields["messages"])


def _top_level(body: bytes) -> dict[str, msgspec.Raw]:
    if not body.strip():
        raise MalformedRequest("the body is empty: send a JSON object with `model` and `messages`")
    try:
        return _TOP_LEVEL.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedRequest("the body must be a JSON object with `model` and `messages`") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequest(f"the body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise MalformedRequest("the body is nested too deeply") from error


def _field(fields: Mapping[str, msgspec.Raw], name: str, kind: type[T], wanted: str) -> T | None:
    """A field that may be missing or null."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return nullable(kind).decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"`{name}` must be {wanted}") from error


def _model(fields: Mapping[str, msgspec.Raw]) -> str:
    model = _field(fields, "model", str, "a string: a use case, or a name that one goes by")
    if not model:
        raise MalformedRequest("`model` is missing: name a use case, or a name that one goes by")
    return model


def _messages(fields: Mapping[str, msgspec.Raw]) -> bytes:
    raw = fields.get("messages")
    if raw is None:
        raise MalformedRequest("`messages` is missing: send an array with at least one message")
    messages = bytes(raw)
    if not messages.startswith(b"["):
        raise MalformedRequest("`messages` must be an array of messages")
    if _is_empty(messages):
        raise MalformedRequest("`messages` is empty: send at least one message")
    return messages


def _is_empty(raw: bytes) -> bool:
    """An array or object without anything in it, or null. A long one is not copied for it."""
    return raw == b"null" or not (raw[1:65].strip(_BLANK_OR_END) or raw[65:-1].strip())


def _media_parts(messages: bytes) -> list[_PeekedPart]:
    # Most conversations are plain strings: one look tells, and a look at a long one costs. One byte is found fastest.
    if messages.find(b"[", 1) < 0 or b'"type"' not in messages or not any(hint in messages for hint in _MEDIA_HINTS):
        return []
    try:
        peeked = _PEEK.decode(messages)
    except msgspec.ValidationError as error:
        raise MalformedRequest(f"`messages`: {error}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest("`messages` is not valid JSON text") from error
    return [
        part
        for message in peeked
        if isinstance(message.content, list)
        for part in message.content
        if part.type in _NEEDED_BY_PART
    ]


def _input_tokens(
    fields: Mapping[str, msgspec.Raw], messages: bytes, parts: list[_PeekedPart], count_text: TextCount
) -> int:
    rest = sum(count_text(bytes(fields[name])) for name in _READ_BY_THE_MODEL_TOO if name in fields)
    if not parts:  # bytes that are no text stand in these parts alone
        return count_text(messages) + rest
    return estimate_tokens(messages, linked_media=sum(map(_is_linked, parts)), count_text=count_text) + rest


def _is_linked(part: _PeekedPart) -> bool:
    """Sounds are always inline."""
    return part.type != "input_audio" and not is_inline(bytes(part.image_url) + bytes(part.file))


def _needs(fields: Mapping[str, msgspec.Raw], parts: list[_PeekedPart]) -> frozenset[Capability]:
    if not parts and _SAYING_NEEDS.isdisjoint(fields):
        return NO_NEEDS
    needs: set[Capability] = {_NEEDED_BY_PART[part.type] for part in parts}
    if any(name in fields and not _is_empty(bytes(fields[name])) for name in ("tools", "functions")):
        needs.add("tools")
    response_format = _field(fields, "response_format", _ResponseFormat, "an object with a `type`")
    if response_format is not None and response_format.type == "json_schema":
        needs.add("json_schema")
    if _field(fields, "reasoning_effort", str, "a string such as `low`, `medium` or `high`") not in (None, "none"):
        needs.add("reasoning")
    if "audio" in (_field(fields, "modalities", list[str], "an array of strings") or ()):
        needs.add("audio")
    return frozenset(needs)


def _max_output_tokens(fields: Mapping[str, msgspec.Raw]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        tokens = _field(fields, name, int, "a whole number of tokens")
        if tokens is not None:
            if tokens < 1:
                raise MalformedRequest(f"`{name}` must be at least 1")
            return tokens
    return None


def _metadata(fields: Mapping[str, msgspec.Raw]) -> Mapping[str, str]:
    """Only what a rule may look at: names that stand for a string."""
    if "metadata" not in fields:
        return {}
    metadata: Mapping[str, Any] = _field(fields, "metadata", dict[str, Any], "an object of strings") or {}
    return {name: value for name, value in metadata.items() if isinstance(value, str)}
