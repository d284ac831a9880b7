"""One rule file against its JSON Schema and its model: each thing that is wrong, once, with its place.

The JSON Schema speaks first, because it is what editors show; the model adds what a schema cannot say (dates, ranges,
exactly one of two keys) wherever the schema had nothing to say.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import fastjsonschema
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaError
from pydantic import BaseModel, ValidationError

from schemas.problems import Problem, did_you_mean
from schemas.rules.rule_set import written
from schemas.yaml_source import Document, Path

FEW_FILES = 16
"""Of one kind, in the life of a process."""
_judged: Counter[str] = Counter()

Content = TypeVar("Content", bound=BaseModel)

_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys to values",
    "null": "nothing",
}


def validate_document(
    file: str, kind: str, document: Document, content_type: type[Content]
) -> tuple[Content | None, tuple[Problem, ...]]:
    """The file's content, or None with every problem."""
    errors = [] if _accepts(kind, document.data) else _schema_errors(kind, document.data)
    findings = _one_per_value(finding for error in errors for finding in _schema_findings(error))
    try:
        content = content_type.model_validate(document.data)
    except ValidationError as error:
        content = None
        spoken_of = [path for path, finding in findings if finding.code != "missing-key"]
        own = [
            (path, problem)
            for path, problem in _model_findings(error, document)
            if not any(path[: len(other)] == other for other in spoken_of)
        ]
        # A value with a bad part is no good value either: the part says it. What only the model knows is said anyway.
        paths = [path for path, _ in (*findings, *own)]
        findings += [
            (path, problem)
            for path, problem in own
            if problem.code != "wrong-value"
            or not any(len(other) > len(path) and other[: len(path)] == path for other in paths)
        ]
    problems = tuple(problem.at(file, document, path) for path, problem in findings)
    return (None if problems else content), problems


@cache
def _schema(kind: str) -> dict[str, Any]:
    """The package's own copy, which editors show: made anew from the models, it takes as long as checking a folder."""
    schema: dict[str, Any] = json.loads((files("schemas") / "json" / f"{kind}.json").read_text(encoding="utf-8"))
    return schema


@cache
def _compiled(kind: str) -> Callable[[Any], object]:
    compiled: Callable[[Any], object] = fastjsonschema.compile(_schema(kind), use_formats=False, use_default=False)
    return compiled


def _accepts(kind: str, data: object) -> bool:
    """What is right is told quickly; what is wrong, in full, by the schema itself.

    Code made from the schema is quicker by far, and worth its making where there are many files.
    """
    _judged[kind] += 1
    if _judged[kind] <= FEW_FILES:
        return _validator(kind).is_valid(data)
    try:
        _compiled(kind)(data)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


def _schema_errors(kind: str, data: object) -> list[SchemaError]:
    return sorted(_validator(kind).iter_errors(data), key=lambda error: [str(part) for part in error.absolute_path])


class _Finding:
    """What is wrong somewhere; it becomes a problem once its place is known."""

    __slots__ = ("at_key", "code", "message", "suggestion")

    def __init__(self, code: str, message: str, suggestion: str = "", *, at_key: bool = False) -> None:
        self.code = code
        self.message = message
        self.suggestion = suggestion
        self.at_key = at_key

    def at(self, file: str, document: Document, path: Path) -> Problem:
        line, column = document.place_of_key(path) if self.at_key else document.place_of(path)
        return Problem(file, line, column, self.code, "error", self.message, self.suggestion, written(path))


def _one_per_value(findings: Iterable[tuple[Path, _Finding]]) -> list[tuple[Path, _Finding]]:
    """A value of the wrong type breaks several rules of its schema: one finding says it. A missing key is its own."""
    kept: dict[tuple[Path, str], tuple[Path, _Finding]] = {}
    for path, finding in findings:
        own = finding.message if finding.code == "missing-key" else ""
        known = kept.get((path, own))
        if known is None or (finding.code == "wrong-type" and known[1].code != "wrong-type"):
            kept[path, own] = (path, finding)
    return list(kept.values())


@cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(_schema(kind))


def shown(value: object) -> str:
    """A value as a message quotes it: short, and never in full when it may be a secret."""
    if isinstance(value, str):
        quoted = value if len(value) <= 60 and not looks_secret(value) else f"{value[:4]}…"
        return json.dumps(quoted, ensure_ascii=False)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else str(value)


def looks_secret(text: str) -> bool:
    """Whether some part of it is long, and mixes letters and digits too evenly for a word or a version.

    A random key of 20 characters carries about 4 bits per character; words and dates stay well below 3.5.
    """
    if re.search(r"\s|://", text):
        return False
    return any(_is_random(part) for part in re.split(r"[-._:/,;=@]", text))


def _is_random(part: str) -> bool:
    if len(part) < 20 or not (re.search(r"[0-9]", part) and re.search(r"[A-Za-z]", part)):
        return False
    bits = -sum(n / len(part) * math.log2(n / len(part)) for n in Counter(part).values())
    return bits > 3.5


def _schema_findings(error: SchemaError) -> Iterator[tuple[Path, _Finding]]:
    path: Path = tuple(error.absolute_path)
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(path, error.instance, schema)
        case "required":
            yield from _missing_key(path, error, schema)
        case "anyOf":
            yield from _of_the_nearest_branch(error, schema)
        case _:
            yield path, _finding(error, schema)


def _unknown_keys(path: Path, instance: Any, schema: Mapping[str, Any]) -> Iterator[tuple[Path, _Finding]]:
    known = set(schema.get("properties", ()))
    for key in instance:
        if key not in known:
            suggestion = did_you_mean(key, known) or f"known here: {', '.join(sorted(known))}"
            yield (*path, key), _Finding("unknown-key", f"unknown key {shown(key)}", suggestion, at_key=True)


def _missing_key(path: Path, error: SchemaError, schema: Mapping[str, Any]) -> Iterator[tuple[Path, _Finding]]:
    # `required` yields one error per key, and names it only in its message and in the order of the list.
    missing = next((key for key in schema.get("required", ()) if error.message.startswith(repr(key))), "?")
    yield path, _Finding("missing-key", f'the key "{missing}" is missing', at_key=bool(path))


def _of_the_nearest_branch(error: SchemaError, schema: Mapping[str, Any]) -> Iterator[tuple[Path, _Finding]]:
    """Of several forms that a value may have, speak of the one that its author meant: the one of the same type."""
    branches: dict[int, list[SchemaError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.schema_path[0]), []).append(inner)
    if any(_is_of_another_kind(inner) or _lacks_a_kind(inner) for inners in branches.values() for inner in inners):
        yield from _of_its_kind(error, branches)
        return
    meant = [
        inners
        for inners in branches.values()
        if not any(inner.validator in ("type", "const") and not inner.path for inner in inners)
    ]
    if len(meant) == 1:
        for inner in meant[0]:
            yield from _schema_findings(inner)
    else:
        expected = schema.get("title", "another form")
        yield tuple(error.absolute_path), _Finding("wrong-type", f"expected {expected}, not {shown(error.instance)}")


def _of_its_kind(error: SchemaError, branches: Mapping[int, list[SchemaError]]) -> Iterator[tuple[Path, _Finding]]:
    """Forms that differ in their `kind` are told apart by it alone."""
    path: Path = tuple(error.absolute_path)
    own = [inners for inners in branches.values() if not any(map(_is_of_another_kind, inners))]
    named = [inner for inners in branches.values() for inner in inners if _is_of_another_kind(inner)]
    if not named:
        yield path, _Finding("missing-key", 'the key "kind" is missing', at_key=True)
    elif not own:
        known = [str(inner.validator_value) for inner in named]
        near = did_you_mean(str(named[0].instance), known) or f"one of: {', '.join(known)}"
        message = f"{shown(named[0].instance)} is not known here"
        yield tuple(named[0].absolute_path), _Finding("unknown-value", message, near)
    else:
        for inner in own[0]:
            yield from _schema_findings(inner)


def _is_of_another_kind(error: SchemaError) -> bool:
    return error.validator == "const" and list(error.path) == ["kind"]


def _lacks_a_kind(error: SchemaError) -> bool:
    return error.validator == "required" and not error.path and error.message.startswith("'kind'")


def _finding(error: SchemaError, schema: Mapping[str, Any]) -> _Finding:
    value, bound = shown(error.instance), schema.get(str(error.validator))
    what = schema.get("title") or schema.get("description") or f"of the form {bound}"
    match error.validator:
        case "type":
            return _wrong_type(error.instance, bound, schema)
        case "enum":
            known = [str(word) for word in schema.get("enum", ())]
            near = did_you_mean(str(error.instance), known)
            return _Finding("unknown-value", f"{value} is not known here", near or f"one of: {', '.join(known)}")
        case "const":
            return _Finding("unknown-value", f"{value} is not known here", f"write {shown(bound)}")
        case "pattern":
            # What may be a pasted secret is marked write-only in its schema, and is not repeated.
            quoted = "this" if schema.get("writeOnly") else value
            return _Finding("wrong-form", f"{quoted} is not {what}", _examples(schema))
        case "exclusiveMinimum" if bound == 0:
            return _Finding("not-above-zero", f"must be above 0, not {value}", "to allow everything, leave the key out")
        case "exclusiveMinimum" | "minimum":
            return _Finding("too-small", f"must be at least {bound}, not {value}")
        case "maximum" | "exclusiveMaximum":
            return _Finding("too-large", f"must be at most {bound}, not {value}")
        case "minItems" | "minLength":
            return _Finding("empty", "must not be empty")
        case "maxItems" | "maxLength":
            return _Finding("too-long", f"is longer than {bound}")
        case _:
            return _Finding("wrong-form", f"{value} does not fit here: {error.validator} {bound}")


def _examples(schema: Mapping[str, Any]) -> str:
    examples = [str(example) for example in schema.get("examples", ())]
    return f"for example {', '.join(examples)}" if examples else ""


def _wrong_type(instance: object, expected: object, schema: Mapping[str, Any]) -> _Finding:
    what = schema.get("title", "")
    words = what if what and expected != "object" else _TYPE_WORDS.get(str(expected), str(expected))
    if instance is None:
        return _Finding("wrong-type", f"expected {words}, but nothing stands here", "write a value or remove the key")
    suggestion = ""
    if expected == "string" and "pattern" in schema:
        suggestion = _examples(schema)
    elif expected == "string" and not isinstance(instance, (list, dict)):
        suggestion = f'write it in quotes: "{shown(instance)}"'
    elif expected == "boolean" and str(instance).lower() in ("yes", "no", "on", "off"):
        suggestion = "write " + ("true" if str(instance).lower() in ("yes", "on") else "false")
    elif expected in ("integer", "number") and isinstance(instance, str):
        digits = re.sub(r"[_,\s$]", "", instance)
        suggestion = f"write {digits}" if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", digits) else ""
    elif expected == "array":
        suggestion = f"write it in brackets: [{shown(instance)[1:-1]}]" if isinstance(instance, str) else ""
    return _Finding("wrong-type", f"expected {words}, not {shown(instance)}", suggestion)


def _model_findings(error: ValidationError, document: Document) -> Iterator[tuple[Path, _Finding]]:
    for detail in error.errors(include_url=False, include_input=False):
        if detail["type"] in ("missing", "extra_forbidden", "union_tag_invalid", "union_tag_not_found"):
            continue  # The JSON Schema has said it.
        if detail["loc"][-1:] == ("[key]",):
            words = "a key is made of letters, digits, dots, dashes and underscores"
            yield _path_in(document.data, detail["loc"]), _Finding("wrong-form", words, at_key=True)
            continue
        code = detail["type"] if "-" in detail["type"] else "wrong-value"
        yield _path_in(document.data, detail["loc"]), _Finding(code, detail["msg"])


def _path_in(data: object, loc: Iterable[str | int]) -> Path:
    """A model's location without the names of union members, which are not in the file."""
    path: list[str | int] = []
    for part in loc:
        try:
            data = data[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(part)
    return tuple(path)
