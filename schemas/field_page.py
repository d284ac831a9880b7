"""Every field of every file that people write or review, as one Markdown page. Made from the JSON Schemas; no I/O."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.json_schema import WRITTEN_FILES, rule_schema

PLACES: Mapping[str, str] = {
    "pointsman": "`pointsman.yaml`",
    "provider": "`providers/<provider>.yaml`",
    "model": "`models/<model>.yaml`",
    "use-case": "`use-cases/<use case>/use-case.yaml`",
    "rule-tests": "`use-cases/<use case>/tests.yaml`",
    "graders": "`use-cases/<use case>/eval/graders.yaml`",
    "eval-sample": "A line of `use-cases/<use case>/eval/set.jsonl`",
    "calibration-sample": "A line of `use-cases/<use case>/eval/calibration.jsonl`",
    "evidence": "`use-cases/<use case>/evidence/<date>-<candidate>.json`",
}

PREAMBLE = """\
# Every field

Made from the models in `schemas/` by `python -m schemas json`. A dot leads into a field, `[]` into each item of a
list, `{}` into each value of a map. What is wrong with a file is said by [its problem's code](problems.md), and what
would be right; `check` knows more than stands here.
"""


class Field(NamedTuple):
    path: str
    kind: str
    """What may stand there, in words."""
    default: str
    meaning: str


def field_page() -> str:
    """The text of `schemas/docs/fields.md`."""
    return PREAMBLE + "".join(_section(kind) for kind in WRITTEN_FILES)


def fields_of(kind: str) -> list[Field]:
    """Those of one kind of file, each above what lies in it; what several forms of a value share stands once."""
    schema = rule_schema(kind)
    return list(dict.fromkeys(_fields(schema, schema.get("$defs", {}), "", ())))


def _section(kind: str) -> str:
    lines = [f"\n## {PLACES[kind]}\n", "| field | takes | default | means |", "| --- | --- | --- | --- |"]
    for field in fields_of(kind):
        lines.append(f"| `{field.path}` | {field.kind} | {field.default} | {field.meaning} |")
    return "\n".join(lines) + "\n"


def _fields(schema: Mapping[str, Any], defs: Mapping[str, Any], at: str, above: tuple[str, ...]) -> Iterator[Field]:
    """`above`: the definitions that this one lies in; a form that holds itself is written once."""
    for form in _forms(schema, defs):
        name = form.get("$ref", "")
        if name in above:
            continue
        known = _resolved(form, defs)
        inner = (*above, name) if name else above
        required = known.get("required", ())
        for key, value in known.get("properties", {}).items():
            path = f"{at}.{key}" if at else key
            yield Field(
                path,
                _kind(value, defs),
                _default(value, is_required=key in required),
                _cell(_meaning(value, defs) or known.get("description", "")),
            )
            yield from _fields(value, defs, path, inner)
        if isinstance(items := known.get("items"), dict):
            yield from _fields(items, defs, f"{at}[]", inner)
        if (values := _values(known)) is not None:
            yield from _fields(values, defs, f"{at}{{}}", inner)


def _forms(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of which one must fit."""
    forms = schema.get("anyOf") or schema.get("oneOf") or _resolved(schema, defs).get("anyOf")
    return [schema] if forms is None else [inner for form in forms for inner in _forms(form, defs)]


def _resolved(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref")
    return schema if name is None else defs[name.rpartition("/")[2]]


def _kind(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    return _cell(" or ".join(dict.fromkeys(_kind_of_form(form, defs) for form in _forms(schema, defs))))


def _kind_of_form(form: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    known = _resolved(form, defs)
    if "const" in known:
        return f"`{known['const']}`"
    if "enum" in known:
        return ", ".join(f"`{value}`" for value in known["enum"])
    match known.get("type"):
        case "array":
            return f"list of {_kind(known.get('items', {}), defs)}"
        case "object" if (values := _values(known)) is not None:
            return f"map to {_kind(values, defs)}"
        case "object":
            return "fields"
        case None:
            return "anything"
        case simple:
            return str(known.get("title") or simple) + _bounds(known)


def _values(known: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What each value of a map is; None: it is no map."""
    more = known.get("additionalProperties")
    return more if isinstance(more, dict) else next(iter(known.get("patternProperties", {}).values()), None)


def _bounds(known: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {_number(known[name])}" for name, sign in signs.items() if name in known]
    return f" ({', '.join(said)})" if said else ""


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _default(value: Mapping[str, Any], *, is_required: bool) -> str:
    if is_required:
        return "required"
    return f"`{msgspec.json.encode(value['default']).decode()}`" if "default" in value else "–"


def _meaning(value: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    return str(value.get("description") or _resolved(value, defs).get("description", ""))


def _cell(text: str) -> str:
    """On one line, and without what would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")
