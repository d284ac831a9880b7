"""Top-level fields of a Messages request: how one is read, and the types of those that routing looks at too."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from sidecar.dialects.anthropic.blocks import BadBlock, is_given, parse
from sidecar.errors import MalformedRequest

_T = TypeVar("_T")


class Schema(msgspec.Struct, frozen=True, tag_field="type", tag="json_schema"):
    schema: Mapping[str, object]


class OutputConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    effort: str | None = None
    format: Schema | None = None


class Enabled(msgspec.Struct, frozen=True, tag_field="type", tag="enabled", omit_defaults=True):
    budget_tokens: int
    display: str | None = None


class Adaptive(msgspec.Struct, frozen=True, tag_field="type", tag="adaptive", omit_defaults=True):
    display: str | None = None


class BetweenTools(msgspec.Struct, frozen=True, tag_field="type", tag="between_tools"):
    pass


class Disabled(msgspec.Struct, frozen=True, tag_field="type", tag="disabled"):
    pass


Thinking = Enabled | Adaptive | BetweenTools | Disabled


STRING = msgspec.json.Decoder(str)
WHOLE = msgspec.json.Decoder(int)
THINKING = msgspec.json.Decoder(Thinking)
_OUTPUT = msgspec.json.Decoder(OutputConfig)
_FORMAT = msgspec.json.Decoder(Schema)


def read_value(name: str, raw: msgspec.Raw, decoder: msgspec.json.Decoder[_T]) -> _T:
    try:
        return parse(decoder, raw, name)
    except BadBlock as error:
        raise MalformedRequest(str(error)) from error


def read_required(fields: Mapping[str, msgspec.Raw], name: str, decoder: msgspec.json.Decoder[_T]) -> _T:
    if name not in fields:
        raise MalformedRequest(f"{name}: field required")
    return read_value(name, fields[name], decoder)


def read_optional(fields: Mapping[str, msgspec.Raw], name: str, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    """None where the field is absent or null: the API takes null for most of its optional fields."""
    raw = fields.get(name)
    return None if raw is None or not is_given(raw) else read_value(name, raw, decoder)


def starts_with(raw: msgspec.Raw, start: bytes) -> bool:
    return bytes(memoryview(raw)[:1]) == start


def is_filled_array(raw: msgspec.Raw) -> bool:
    view = memoryview(raw)
    return bytes(view[:1]) == b"[" and bool(bytes(view[1:64]).strip(b" \t\r\n]") or len(view) > 64)


def read_output(fields: Mapping[str, msgspec.Raw]) -> OutputConfig:
    """`output_format` is the field's name of the time when it was in beta; it still works (platform.claude.com,
    "Structured outputs")."""
    config = read_optional(fields, "output_config", _OUTPUT) or OutputConfig()
    if config.format is None and "output_format" in fields:
        return msgspec.structs.replace(config, format=read_optional(fields, "output_format", _FORMAT))
    return config
