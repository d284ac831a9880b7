"""A value that fits a JSON schema, the same one every time. Pure.

Covers what providers accept for tools and structured output: types, enum, const, required, $ref, anyOf/oneOf/allOf,
formats and numeric, length and item bounds. A `pattern` is not solved: give `examples`, `default` or an `enum` with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "PT5M",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

MAX_DEPTH = 12  # a schema that refers to itself stops taking optional members here


def value_for(schema: Mapping[str, Any] | bool) -> Any:
    """A value that the schema accepts; what it leaves open is filled with the plainest choice.

    Raises:
        ValueError: the schema refers to a definition it does not hold.
    """
    root = schema if isinstance(schema, Mapping) else {}
    return _value(root, root, "value", 0)


def _value(schema: Any, root: Mapping[str, Any], name: str, depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return f"simulated {name}"
    if "$ref" in schema:
        return _value(_resolve(str(schema["$ref"]), root), root, name, depth + 1)
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("enum", "examples"):
        if schema.get(keyword):
            return schema[keyword][0]
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return _value(_plainest(schema[keyword], depth), root, name, depth + 1)
    if schema.get("allOf"):
        return _value(_merged(schema, root), root, name, depth + 1)
    return _of_type(_type_of(schema), schema, root, name, depth)


def _of_type(kind: str, schema: Mapping[str, Any], root: Mapping[str, Any], name: str, depth: int) -> Any:
    match kind:
        case "object":
            return _object(schema, root, depth)
        case "array":
            return _array(schema, root, name, depth)
        case "integer" | "number":
            return _number(kind, schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema, name)


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(each) for each in kind if each != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    required: Sequence[str] = schema.get("required", ())
    names = required if depth > MAX_DEPTH else list(dict.fromkeys([*properties, *required]))
    return {name: _value(properties.get(name, True), root, name, depth + 1) for name in names}


def _array(schema: Mapping[str, Any], root: Mapping[str, Any], name: str, depth: int) -> list[Any]:
    fixed = schema.get("prefixItems", [])
    wanted = max(int(schema.get("minItems", 0 if depth > MAX_DEPTH else 1)), len(fixed))
    wanted = min(wanted, int(schema.get("maxItems", wanted)))
    rest = [schema.get("items", True)] * max(0, wanted - len(fixed))
    return [_value(item, root, name, depth + 1) for item in [*fixed, *rest]][:wanted]


def _number(kind: str, schema: Mapping[str, Any]) -> float | int:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = step if high is None or high > step else high - step
    value = -(-low // step) * step
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        value += step
    if high is not None and (value > high or value == schema.get("exclusiveMaximum")) and kind == "number":
        value = (low + high) / 2
    return int(value) if kind == "integer" else value


def _string(schema: Mapping[str, Any], name: str) -> str:
    text = FORMATS.get(str(schema.get("format")), f"simulated {name}")
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    return text.ljust(least, ".")[: None if most is None else int(most)]


def _plainest(choices: Sequence[Any], depth: int) -> Any:
    """The first choice that is not null; once deep, null or the last one, so that a recursive schema ends."""
    real = [choice for choice in choices if not (isinstance(choice, Mapping) and choice.get("type") == "null")]
    if depth > MAX_DEPTH:
        return {"type": "null"} if len(real) < len(choices) else real[-1]
    return real[0] if real else {"type": "null"}


def _merged(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        whole = _resolve(str(part["$ref"]), root) if "$ref" in part else part
        properties = {**merged.get("properties", {}), **whole.get("properties", {})}
        required = [*merged.get("required", ()), *whole.get("required", ())]
        merged = {**merged, **whole}
        if properties:
            merged |= {"properties": properties, "required": required}
    return merged


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise ValueError(f"the schema refers to {reference!r}, which it does not define")
    return found
