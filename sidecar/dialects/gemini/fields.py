"""Reading a request: objects whose fields may be written in camelCase or in snake_case, which Google takes alike
(protobuf.dev, "ProtoJSON format": parsers accept both).
"""

import re
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from sidecar.errors import MalformedRequest

T = TypeVar("T")

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANYTHING = msgspec.json.Decoder()
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_NULL = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_UNDERSCORE = re.compile(r"(?<=[a-zA-Z0-9])_([a-z0-9])")


def camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name) if "_" in name else name


class Fields:
    """A JSON object and where it stands. A field that is null counts as absent, as in protobuf's JSON."""

    __slots__ = ("_raw", "where")

    def __init__(self, raw: Mapping[str, msgspec.Raw], where: str = "") -> None:
        self._raw = {camel(name): value for name, value in raw.items() if value != _NULL}
        self.where = where

    @classmethod
    def parse(cls, raw: bytes | msgspec.Raw, where: str) -> "Fields":
        members: dict[str, msgspec.Raw] = _decode(_OBJECT, raw, where, "an object")
        return cls(members, where)

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    def names(self) -> Iterator[str]:
        return iter(self._raw)

    def raw(self, name: str) -> bytes | None:
        value = self._raw.get(name)
        return None if value is None else bytes(value)

    def value(self, name: str, kind: type[T], wanted: str) -> T | None:
        """`wanted` says what would be right."""
        raw = self._raw.get(name)
        if raw is None:
            return None
        try:
            value: T = _decoder(kind).decode(raw)  # type: ignore[arg-type]  # typeshed: a class is no Hashable
        except _UNREADABLE as error:
            raise MalformedRequest(f"`{self._at(name)}` must be {wanted}") from error
        return value

    def text(self, name: str) -> str | None:
        return self.value(name, str, "a string")

    def number(self, name: str) -> float | None:
        return self.value(name, float, "a number")

    def whole(self, name: str) -> int | None:
        """Also as a float without a fraction, and as a string: protobuf's JSON takes all three."""
        value = self.value(name, int | float | str, "a whole number")  # type: ignore[arg-type]
        try:
            exact = int(value) if isinstance(value, int | str) else None if value is None else _whole(value)
        except ValueError as error:
            raise MalformedRequest(f"`{self._at(name)}` must be a whole number") from error
        return exact

    def flag(self, name: str) -> bool | None:
        return self.value(name, bool, "true or false")

    def anything(self, name: str) -> object:
        raw = self._raw.get(name)
        return None if raw is None else _decode(_ANYTHING, raw, self._at(name), "JSON")

    def object(self, name: str) -> dict[str, object] | None:
        return self.value(name, dict[str, object], "an object")

    def texts(self, name: str) -> tuple[str, ...]:
        return self.value(name, tuple[str, ...], "an array of strings") or ()

    def fields(self, name: str) -> "Fields | None":
        raw = self._raw.get(name)
        return None if raw is None else Fields.parse(raw, self._at(name))

    def each(self, name: str) -> "Iterator[Fields]":
        """An array of objects, or one object alone, as many of Google's own examples write `parts`."""
        raw = self._raw.get(name)
        if raw is None:
            return
        if bytes(memoryview(raw)[:1]) == b"{":
            yield Fields.parse(raw, self._at(name))
            return
        objects: list[msgspec.Raw] = _decode(_ARRAY, raw, self._at(name), "an array of objects")
        for place, inner in enumerate(objects):
            yield Fields.parse(inner, f"{self._at(name)}[{place}]")

    def _at(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name


@cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _whole(value: float) -> int:
    if not value.is_integer():
        raise ValueError("a fraction")
    return int(value)


def _decode(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw, where: str, wanted: str) -> T:
    try:
        return decoder.decode(raw)
    except _UNREADABLE as error:
        raise MalformedRequest(f"`{where}` must be {wanted}") from error
