"""Reading a request: objects whose fields may be written in camelCase or in snake_case, which Google takes alike
(protobuf.dev, "ProtoJSON format": parsers accept both).
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from sidecar.errors import MalformedRequest

T = TypeVar("T")

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_UNDERSCORE = re.compile(r"(?<=[a-zA-Z0-9])_([a-z0-9])")


def camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name) if "_" in name else name


def is_null(raw: bytes | msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:5]) in (b"", b"null")


class Fields:
    """A JSON object and where it stands. A field that is null counts as absent, as in protobuf's JSON."""

    __slots__ = ("_raw", "where")

    def __init__(self, raw: Mapping[str, msgspec.Raw], where: str = "") -> None:
        self._raw = {camel(name): value for name, value in raw.items() if not is_null(value)}
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
        return None if raw is None else _decode(msgspec.json.Decoder(kind), raw, self._at(name), wanted)

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
        return None if raw is None else _decode(msgspec.json.Decoder(), raw, self._at(name), "JSON")

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


def _whole(value: float) -> int:
    if not value.is_integer():
        raise ValueError("a fraction")
    return int(value)


def _decode(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw, where: str, wanted: str) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"`{where}` must be {wanted}") from error
