"""Google's Schema to JSON Schema."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.gemini.schema import to_json_schema


@pytest.mark.parametrize(
    ("google", "json_schema"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "TYPE_UNSPECIFIED", "description": "any"}, {"description": "any"}),
        ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"type": "STRING", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "INTEGER", "nullable": True}, {"type": ["integer", "null"]}),
        ({"type": "STRING", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"anyOf": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "maxItems": "3"},
            {"type": "array", "items": {"type": "number"}, "maxItems": 3},
        ),
        ({"type": "STRING", "example": "x", "min_length": "1"}, {"type": "string", "examples": ["x"], "minLength": 1}),
        ({"any_of": [{"type": "STRING"}, {"type": "NULL"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {
                "type": "OBJECT",
                "properties": {"snake_case": {"type": "STRING"}, "type": {"type": "BOOLEAN"}},
                "required": ["type"],
            },
            {
                "type": "object",
                "properties": {"snake_case": {"type": "string"}, "type": {"type": "boolean"}},
                "required": ["type"],
            },
        ),
        (
            {"ref": "#/defs/A", "defs": {"A": {"type": "OBJECT", "additionalProperties": {"type": "STRING"}}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "additionalProperties": {"type": "string"}}}},
        ),
    ],
)
def test_to_json_schema(google: dict[str, object], json_schema: dict[str, object]) -> None:
    assert to_json_schema(google) == json_schema


def test_the_order_of_properties_is_the_one_that_was_asked_for() -> None:
    properties = {"a": {"type": "STRING"}, "b": {"type": "STRING"}, "c": {"type": "STRING"}}
    mapped = to_json_schema({"type": "OBJECT", "properties": properties, "propertyOrdering": ["c", "a", "gone"]})
    assert list(mapped["properties"]) == ["c", "a", "b"]  # type: ignore[call-overload]
    assert "propertyOrdering" not in mapped


@given(
    st.recursive(
        st.sampled_from([{"type": "string"}, {"type": ["integer", "null"]}, {"$ref": "#/$defs/A"}, {"const": 3}]),
        lambda inner: (
            st.builds(
                lambda a, b: {"type": "object", "properties": {"a_b": a, "enum": b}, "required": ["a_b"]}, inner, inner
            )
            | st.builds(lambda each: {"anyOf": [each, {"type": "null"}]}, inner)
        ),
        max_leaves=5,
    )
)
def test_json_schema_comes_out_as_it_went_in(schema: dict[str, object]) -> None:
    assert to_json_schema(schema) == schema
