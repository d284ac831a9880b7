"""Fields of a request: how one is read."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from sidecar.dialects.nullable import nullable
from sidecar.errors import MalformedRequest

T = TypeVar("T")


def parse(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], where: str) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.tools[0].name`": the path first, and without the root's sign.
        problem, _, path = str(error).partition(" - at `$.")
        at = ".".join(filter(None, (where, path.removesuffix("`"))))
        raise MalformedRequest(f"`{at}`: {problem}" if at else str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest("the body is not valid JSON") from error


def read_field(fields: Mapping[str, msgspec.Raw], name: str, kind: type[T], wanted: str) -> T | None:
    """A field that may be missing or null."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return nullable(kind).decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"`{name}` must be {wanted}") from error


def is_given(fields: Mapping[str, msgspec.Raw], name: str) -> bool:
    return name in fields and bytes(fields[name]) != b"null"
