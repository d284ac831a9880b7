"""A generateContent request as routing sees it: read once without decoding its contents, and passed on byte by byte."""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from schemas.bundle import Capability
from sidecar.dialects.base import BODY_ALONE, Envelope, InPath
from sidecar.dialects.estimate import TextCount, estimate_text_tokens, estimate_tokens
from sidecar.dialects.gemini.fields import Fields, camel
from sidecar.dialects.gemini.signatures import MARK, SKIP, is_wrapped
from sidecar.errors import MalformedRequest

T = TypeVar("T")

_TOP_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT = msgspec.json.Decoder(str)
_FLAG = msgspec.json.Decoder(bool)
_MEDIA_HINTS = (b'eData"', b'e_data"')
"""The ends of `inlineData` and `fileData`, in either spelling."""
_MEDIA: frozenset[Capability] = frozenset({"vision", "audio", "files"})


def open_envelope(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    """
    Raises:
        MalformedRequest: names the field and what would be right.
    """
    raw = _top_level(body)
    fields = Fields(raw)
    if not in_path.model:
        raise MalformedRequest("the path names no model: POST /v1beta/models/<use case>:generateContent")
    if not any(fields.each("contents")):
        raise MalformedRequest("`contents` is missing or empty: send an array with at least one content")
    config = fields.fields("generationConfig") or Fields({}, "generationConfig")
    needs, linked_media = _needs(body, fields, config)
    return Envelope(
        body=body,
        fields=raw,
        model=in_path.model,
        stream=in_path.stream,
        wants_usage=True,
        needs=needs,
        input_tokens=_input_tokens(body, needs, linked_media, count_text),
        max_output_tokens=_max_output_tokens(config),
        metadata=_labels(fields),
    )


def _top_level(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _TOP_LEVEL.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedRequest("the body must be a JSON object with `contents`") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"the body is not valid JSON: {error}") from error


def _needs(body: bytes, fields: Fields, config: Fields) -> tuple[frozenset[Capability], int]:
    """What a target must be able to do, and how many images and files are named by a URL."""
    needs: set[Capability] = set()
    linked_media = 0
    # Only a body that holds these bytes can hold media; only a closer look tells that it does.
    if any(hint in body for hint in _MEDIA_HINTS):
        for media, is_linked in _media(fields):
            needs.add(_capability(media.text("mimeType") or ""))
            linked_media += is_linked
    if any(fields.each("tools")):
        needs.add("tools")
    if "responseSchema" in config or "responseJsonSchema" in config:
        needs.add("json_schema")
    thinking = config.fields("thinkingConfig")
    if thinking is not None and thinking.whole("thinkingBudget") != 0:
        needs.add("reasoning")
    return frozenset(needs), linked_media


def _input_tokens(body: bytes, needs: frozenset[Capability], linked_media: int, count_text: TextCount) -> int:
    if needs.isdisjoint(_MEDIA):  # bytes that are no text stand in such parts alone
        return count_text(body)
    return estimate_tokens(body, linked_media=linked_media, count_text=count_text)


def _media(fields: Fields) -> Iterator[tuple[Fields, bool]]:
    for content in fields.each("contents"):
        for part in content.each("parts"):
            yield from _media_of(part)
            response = part.fields("functionResponse")
            for inner in response.each("parts") if response is not None else ():
                yield from _media_of(inner)


def _media_of(part: Fields) -> Iterator[tuple[Fields, bool]]:
    if (inline := part.fields("inlineData")) is not None:
        yield inline, False
    if (linked := part.fields("fileData")) is not None:
        yield linked, True


def _capability(media_type: str) -> Capability:
    kind = media_type.partition("/")[0].lower()
    return "vision" if kind in ("image", "video") else "audio" if kind == "audio" else "files"


def _max_output_tokens(config: Fields) -> int | None:
    tokens = config.whole("maxOutputTokens")
    if tokens is not None and tokens < 1:
        raise MalformedRequest("`generationConfig.maxOutputTokens` must be at least 1")
    return tokens


def _labels(fields: Fields) -> dict[str, str]:
    """Only what a rule may look at: names that stand for a string."""
    labels = fields.object("labels") or {}
    return {name: value for name, value in labels.items() if isinstance(value, str)}


def beginning_of(envelope: Envelope) -> bytes:
    """A content without a role is the user's (ai.google.dev/api/caching, `Content`)."""
    fields = Fields(envelope.fields)
    pieces = [fields.raw("systemInstruction") or b""]
    for content in fields.each("contents"):
        role = content.text("role") or "user"
        pieces += [role.encode(), content.raw("parts") or b""]
        if role == "user":
            break
    return b"\0".join(pieces)


def forward(envelope: Envelope, model: str) -> bytes:
    """The caller's own bytes. The model stands in the path; a body that names it too (a field of the request message)
    gets the target's name there.

    Thoughts that another vendor signed are left out: this conversation went there before, and Gemini would refuse them.
    """
    named = "model" in envelope.fields
    foreign = MARK in envelope.body
    if not (named or foreign):
        return envelope.body
    fields: dict[str, object] = dict(envelope.fields)
    if named:
        fields["model"] = model if "/" in model else f"models/{model}"
    if foreign:
        fields["contents"] = _without_foreign_thoughts(Fields(envelope.fields).raw("contents") or b"[]")
    return msgspec.json.encode(fields)


def _without_foreign_thoughts(raw: bytes) -> list[dict[str, object]]:
    contents: list[dict[str, object]] = []
    for content in _objects(raw, "contents"):
        if "parts" not in content:
            contents.append({**content})
            continue
        parts = [kept for part in _objects(content["parts"], "contents.parts") if (kept := _own(part)) is not None]
        if parts:
            contents.append({**content, "parts": parts})
    return contents


def _own(part: dict[str, msgspec.Raw]) -> dict[str, object] | None:
    """The part without a foreign signature; None where it is a foreign thought."""
    name = next((name for name in part if camel(name) == "thoughtSignature"), None)
    if name is None or not is_wrapped(_value(_TEXT, part[name], "thoughtSignature")):
        return {**part}
    if "thought" in part and _value(_FLAG, part["thought"], "thought"):
        return None
    return {**part, name: SKIP}


def _objects(raw: bytes | msgspec.Raw, where: str) -> list[dict[str, msgspec.Raw]]:
    if bytes(memoryview(raw)[:1]) == b"{":
        return [_value(_TOP_LEVEL, raw, where)]
    return _value(_OBJECTS, raw, where)


def _value(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw, where: str) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"`{where}` cannot be read: {error}") from error
