"""Decoders of single fields that may be null. Made once for each type: making one takes longer than what it reads."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_KNOWN: dict[Any, msgspec.json.Decoder[Any]] = {}
"""Of the types that dialects read fields as, which are few."""


def nullable(kind: type[T]) -> msgspec.json.Decoder[T | None]:
    decoder = _KNOWN.get(kind)
    if decoder is None:
        decoder = _KNOWN[kind] = msgspec.json.Decoder(kind | None)
    return decoder
