"""Google's Schema, a selection of OpenAPI 3.0 with upper-case types, to JSON Schema (google-genai, `Schema`).

The way back needs no mapping: `parametersJsonSchema` and `responseJsonSchema` take JSON Schema as it is. Of that
Gemini reads $id, $defs, $ref, $anchor, type, format, title, description, enum, items, prefixItems, minItems, maxItems,
minimum, maximum, anyOf, oneOf (as anyOf), properties, additionalProperties and required; it does not hold an answer to
the rest (ai.google.dev/api/generate-content, `responseJsonSchema`). On the way here only `format: enum` is lost, which
says nothing beside the values themselves.
"""

from collections.abc import Mapping

from sidecar.dialects.gemini.fields import camel

_COUNTS = frozenset({"minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"})
"""int64 in protobuf, which its JSON writes as strings."""

_ONE = frozenset({"items", "additionalProperties"})
_MANY = frozenset({"anyOf", "prefixItems"})
_NAMED = {"properties": "properties", "defs": "$defs"}


def to_json_schema(schema: Mapping[str, object]) -> dict[str, object]:
    """What is JSON Schema already comes out as it went in."""
    mapped: dict[str, object] = {}
    for key, value in schema.items():
        _map(camel(key), value, mapped)
    ordering = mapped.pop("propertyOrdering", None)
    properties = mapped.get("properties")
    if isinstance(ordering, list) and isinstance(properties, dict):
        first = {name: properties[name] for name in ordering if isinstance(name, str) and name in properties}
        mapped["properties"] = first | properties
    return _nullable(mapped) if mapped.pop("nullable", False) is True else mapped


def _map(key: str, value: object, mapped: dict[str, object]) -> None:
    if key == "type" and isinstance(value, str):
        if value != "TYPE_UNSPECIFIED":
            mapped["type"] = value.lower()
    elif key in _ONE and isinstance(value, dict):
        mapped[key] = to_json_schema(value)
    elif key in _MANY and isinstance(value, list):
        mapped[key] = [to_json_schema(each) if isinstance(each, dict) else each for each in value]
    elif key in _NAMED and isinstance(value, dict):
        mapped[_NAMED[key]] = {
            name: to_json_schema(each) if isinstance(each, dict) else each for name, each in value.items()
        }
    elif key == "ref" and isinstance(value, str):
        mapped["$ref"] = value.replace("#/defs/", "#/$defs/", 1)
    elif key == "example":
        mapped["examples"] = [value]
    elif key in _COUNTS and isinstance(value, str) and value.isdecimal():
        mapped[key] = int(value)
    elif not (key == "format" and value == "enum"):
        mapped[key] = value


def _nullable(mapped: dict[str, object]) -> dict[str, object]:
    """OpenAPI's `nullable`, which JSON Schema says by a type of its own."""
    kind, values = mapped.get("type"), mapped.get("enum")
    if isinstance(values, list):
        mapped = mapped | {"enum": [*values, None]}
    if isinstance(kind, str):
        return mapped | {"type": [kind, "null"]}
    any_of = mapped.get("anyOf")
    return mapped | {"anyOf": [*any_of, {"type": "null"}]} if isinstance(any_of, list) else mapped
