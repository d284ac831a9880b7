"""Whether a JSON value fits a JSON Schema: the keywords that structured outputs and tools are written in.

A keyword that is not known here holds, and so does a schema that is itself wrong: an answer is called bad only where
that is sure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

MAX_DEPTH = 100
"""Of schemas within schemas; deeper ones, such as one that refers to itself, hold."""

_OF_TYPE: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),  # type: ignore[arg-type]
}


def fits(value: object, schema: object) -> bool:
    """False only where the value surely breaks the schema."""
    return _Shape(schema).holds(value, schema, 0)


class _Shape:
    """One schema, with what it defines for itself."""

    def __init__(self, root: object) -> None:
        self._root = root

    def holds(self, value: object, schema: object, depth: int) -> bool:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return True
        return (
            self._is_allowed(value, schema)
            and self._combinations_hold(value, schema, depth + 1)
            and (not isinstance(value, dict) or self._object_holds(value, schema, depth + 1))
            and (not isinstance(value, list) or self._array_holds(value, schema, depth + 1))
        )

    def _is_allowed(self, value: object, schema: Mapping[str, Any]) -> bool:
        if "const" in schema and not _equal(value, schema["const"]):
            return False
        allowed = schema.get("enum")
        if isinstance(allowed, list) and not any(_equal(value, one) for one in allowed):
            return False
        if not _is_of_type(value, schema.get("type")):
            return value is None and schema.get("nullable") is True
        if isinstance(value, str):
            return _within(len(value), schema, "minLength", "maxLength")
        if _is_number(value):
            return _within(value, schema, "minimum", "maximum") and _strictly_within(value, schema)
        return True

    def _combinations_hold(self, value: object, schema: Mapping[str, Any], depth: int) -> bool:
        reference, one_of, any_of = schema.get("$ref"), schema.get("oneOf"), schema.get("anyOf")
        if isinstance(reference, str) and not self.holds(value, self._resolved(reference), depth):
            return False
        if isinstance(any_of, list) and not any(self.holds(value, one, depth) for one in any_of):
            return False
        if isinstance(one_of, list) and not any(self.holds(value, one, depth) for one in one_of):
            return False
        all_of = schema.get("allOf")
        return not isinstance(all_of, list) or all(self.holds(value, one, depth) for one in all_of)

    def _object_holds(self, value: dict[str, object], schema: Mapping[str, Any], depth: int) -> bool:
        required = schema.get("required")
        if isinstance(required, list) and not all(name in value for name in required if isinstance(name, str)):
            return False
        named = schema.get("properties")
        properties: Mapping[str, object] = named if isinstance(named, Mapping) else {}
        # Names may be allowed by a pattern, too: then nothing is sure of those that are not listed.
        others = True if schema.get("patternProperties") else schema.get("additionalProperties", True)
        return all(self.holds(inner, properties.get(name, others), depth) for name, inner in value.items())

    def _array_holds(self, value: list[object], schema: Mapping[str, Any], depth: int) -> bool:
        if not _within(len(value), schema, "minItems", "maxItems"):
            return False
        if isinstance(schema.get("prefixItems"), list):
            return True
        return all(self.holds(inner, schema.get("items", True), depth) for inner in value)

    def _resolved(self, reference: str) -> object:
        """What a reference within the schema names; anything else holds."""
        if not reference.startswith("#"):
            return True
        found: object = self._root
        for name in re.findall(r"/([^/]*)", reference):
            if not isinstance(found, Mapping):
                return True
            found = found.get(name.replace("~1", "/").replace("~0", "~"), True)
        return found


def _is_of_type(value: object, wanted: object) -> bool:
    kinds = wanted if isinstance(wanted, list) else [wanted]
    # Gemini writes the names of types in capitals.
    names = [kind.lower() for kind in kinds if isinstance(kind, str)]
    known = [_OF_TYPE[name] for name in names if name in _OF_TYPE]
    return len(known) < len(kinds) or any(is_of(value) for is_of in known)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(value: object, other: object) -> bool:
    """As JSON knows it: true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _within(amount: Any, schema: Mapping[str, Any], least: str, most: str) -> bool:
    low, high = schema.get(least), schema.get(most)
    return not (_is_number(low) and amount < low) and not (_is_number(high) and amount > high)


def _strictly_within(amount: Any, schema: Mapping[str, Any]) -> bool:
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    return not (_is_number(low) and amount <= low) and not (_is_number(high) and amount >= high)
