"""What surely breaks a JSON Schema, and what does not."""

from typing import Any

import pytest

from sidecar.quality.json_shape import fits

TREE = {"$ref": "#/$defs/node", "$defs": {"node": {
    "type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["next"], "additionalProperties": False,
}}}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        (1, {"type": "integer"}, True),
        (1.0, {"type": "integer"}, True),
        (1.5, {"type": "integer"}, False),
        (True, {"type": "integer"}, False),
        (True, {"enum": [1]}, False),
        (None, {"type": ["string", "null"]}, True),
        (None, {"type": "string", "nullable": True}, True),
        ("x", {"type": "STRING"}, True),
        (1, {"type": "STRING"}, False),
        ("x", {"type": "of tomorrow"}, True),
        ("x", {"enum": ["x", "y"]}, True),
        ("z", {"enum": ["x", "y"]}, False),
        ("z", {"const": "x"}, False),
        ("", {"minLength": 1}, False),
        (5, {"minimum": 1, "maximum": 4}, False),
        (1, {"exclusiveMinimum": 1}, False),
        ([1, "a"], {"type": "array", "items": {"type": "integer"}}, False),
        ([], {"type": "array", "minItems": 1}, False),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": False}, False),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": {"type": "string"}}, False),
        ({"a": 1}, {"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, False),
        ({"a": 1}, {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, True),
        ({"next": {"next": None}}, TREE, True),
        ({"next": {"next": 1}}, TREE, False),
        (1, {"$ref": "#"}, True),
        (1, {"$ref": "https://example.com/schema"}, True),
        (1, {"$ref": "#/$defs/absent"}, True),
        (1, False, False),
        (1, "not a schema", True),
        ({"a": 1}, {"properties": 5, "required": "a", "enum": "x"}, True),
    ],
)
def test_a_value_fits(value: Any, schema: Any, expected: bool) -> None:
    assert fits(value, schema) is expected
