"""Every field of every kind of rule file, in turn blank, null, huge or of the wrong type: problems, or fine."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import pytest

from schemas.bundle import decode_bundle, encode_bundle
from schemas.json_schema import rule_schema
from schemas.kinds import RULE_FILES
from schemas.load import load
from schemas.problems import has_errors
from schemas.yaml_source import Path as FieldPath
from sidecar.routing.snapshot import build_snapshot

TODAY = date(2026, 11, 23)
ODD_VALUES: tuple[object, ...] = (
    None, "", " ", "x" * 5000, "\u0000", "\u202e", "\U0001f600", "null", "yes", "-", "*", "**", "[", "../..", "{}",
    "1e400",
    True, False, 0, -1, 1, 2**63, 10**17, -(10**17), 1.5, 1e-30, 1e300, [], [None], [""], [0], [[]], [{}], {},
    {"": ""}, {"x": None}, {"a": {"b": []}}, ["x"] * 300,
)  # fmt: skip
FILES = {
    "pointsman": "pointsman.yaml",
    "provider": "providers/one.yaml",
    "model": "models/alpha.yaml",
    "use-case": "use-cases/chat/use-case.yaml",
    "rule-tests": "use-cases/chat/tests.yaml",
}
WHOLE: Mapping[str, Any] = {
    "pointsman.yaml": {
        "schema": 1,
        "owners": {"team": ["use-cases/chat/**"], "platform": ["**"], "some-key": ["models/**"]},
        "grants": {"team": {"models": ["*"], "per_month": 500}, "some-key": {"regions": ["eu"]}},
        "callers": [{"name": "bot", "key": "sha256:" + "a" * 64, "per_month": 5, "limits": {"concurrency": 1}}],
    },
    "providers/one.yaml": {
        "provider": "one", "dialect": "openai", "base_url": "https://one.example/v1",
        "auth": {"api_key": {"env": "KEY"}}, "limits": {"concurrency": 5},
    },
    "models/alpha.yaml": {
        "model": "alpha", "vendor": "acme", "context_window": 1000, "max_output_tokens": 100,
        "served_by": [{"provider": "one", "name": "a", "prices": [{"from": "2026-06-01", "input": 1, "output": 2}]}],
        "prices": [
            {"from": "2026-06-01", "input": 1, "output": 2,
             "tiers": [{"above_input_tokens": 500, "input": 2, "output": 3}], "service": {"batch": {"times": 0.5}}}
        ],
        "deprecated": {"since": "2026-06-01"},
    },
    "use-cases/chat/use-case.yaml": {
        "use_case": "chat", "owner": "team", "primary": "alpha",
        "rules": [
            {"when": {"hours": {"start": "08:00", "end": "17:00", "zone": "UTC"}, "input_tokens": {"over": 5}},
             "primary": "alpha", "split": []}
        ],
        "cost_ceiling": {"per_day": 5, "then": "reject"}, "lock": {"vendor": "acme", "reason": "one feature"},
        "review": {"by": "2027-01-01"}, "limits": {"concurrency": 1}, "slow_stream": {"characters_per_second": 5},
        "hedge": {"after": "5s"},
    },
    "use-cases/chat/tests.yaml": [{"name": "a", "expect": {"first": "alpha"}}],
}  # fmt: skip


def fields_of(schema: Mapping[str, Any], definitions: Mapping[str, Any], at: FieldPath = ()) -> Iterator[FieldPath]:
    """The path of every field that the published schema knows; of lists and mappings the first element."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if at:
        yield at
    for name, inner in schema.get("properties", {}).items():
        yield from fields_of(inner, definitions, (*at, name))
    for branch in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from (path for path in fields_of(branch, definitions, at) if path != at)
    if isinstance(schema.get("items"), dict):
        yield from fields_of(schema["items"], definitions, (*at, 0))
    for values in (schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()):
        if isinstance(values, dict):
            yield from fields_of(values, definitions, (*at, "some-key"))


def with_value(whole: Any, path: FieldPath, value: object) -> Any:
    """A copy with the value at the path; what is missing on the way there is made."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        items = list(whole) if isinstance(whole, list) and whole else [{}]
        items[step] = with_value(items[step], tuple(rest), value)
        return items
    known = whole if isinstance(whole, dict) else {}
    return {**known, step: with_value(known.get(step), tuple(rest), value)}


CASES = sorted(
    {
        (kind, path)
        for kind in RULE_FILES
        for path in [(), *fields_of(rule_schema(kind), rule_schema(kind).get("$defs", {}))]
    },
    key=str,
)


def test_every_field_of_every_kind_is_among_them() -> None:
    assert len(CASES) > 250
    assert ("use-case", ("rules", 0, "when", "hours", "zone")) in CASES
    assert ("model", ("served_by", 0, "prices", 0, "tiers", 0, "cache_read")) in CASES
    assert ("pointsman", ("grants", "some-key", "regions", 0)) in CASES


@pytest.mark.parametrize(("kind", "path"), CASES, ids=[f"{kind}-{'.'.join(map(str, path))}" for kind, path in CASES])
def test_odd_values_are_answered(kind: str, path: FieldPath) -> None:
    file = FILES[kind]
    for value in ODD_VALUES:
        # JSON is YAML, and says exactly what is meant.
        written = {name: json.dumps(content) for name, content in WHOLE.items()}
        written[file] = json.dumps(with_value(WHOLE[file], path, value))
        loaded = load(written, today=TODAY, revision="x")
        assert (loaded.bundle is None) is has_errors(loaded.problems), (value, loaded.problems)
        for problem in loaded.problems:
            assert problem.file in written
            assert problem.code, problem
            assert len(str(problem)) < 3000, str(problem)[:300]
            assert "\n" not in str(problem), repr(str(problem))
        if loaded.bundle is not None:
            build_snapshot(decode_bundle(encode_bundle(loaded.bundle)))
