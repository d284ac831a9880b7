"""Values that fit JSON schemas, judged by a JSON Schema validator."""

from typing import Any

import jsonschema
import pytest

from controller.demo.simulator.schema_values import value_for

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "children"],
        }
    },
    "$ref": "#/$defs/node",
}
LIST = {
    "type": "object",
    "properties": {"head": {"type": "integer"}, "tail": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["head", "tail"],
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 40},
        {"type": "string", "maxLength": 3},
        {"type": "string", "format": "date-time"},
        {"type": ["null", "integer"], "minimum": 7, "maximum": 7},
        {"type": "integer", "exclusiveMinimum": 4, "multipleOf": 5},
        {"type": "integer", "maximum": -3},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "number", "minimum": 0.2, "maximum": 0.4},
        {"enum": [3, 4]},
        {"const": {"a": 1}},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
        {"type": "array", "maxItems": 0},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
        {"anyOf": [{"type": "null"}, {"type": "integer"}]},
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}, "required": ["b"]},
            ]
        },
        {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "additionalProperties": False},
        TREE,
        LIST,
        {},
    ],
)
def test_the_value_fits(schema: dict[str, Any]) -> None:
    jsonschema.validate(value_for(schema), schema)


def test_a_reference_to_nothing_is_named() -> None:
    with pytest.raises(ValueError, match="#/nowhere"):
        value_for({"$ref": "#/nowhere"})
