"""The page of all fields: what stands in a rule file stands there, with its place, its default and its meaning."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.field_page import Field, field_page, fields_of
from schemas.json_schema import WRITTEN_FILES

RULES = Path(__file__).parents[3] / "examples" / "rules"
KINDS = {"pointsman.yaml": "pointsman", "providers/*.yaml": "provider", "models/*.yaml": "model"}
KINDS |= {"use-cases/*/use-case.yaml": "use-case", "use-cases/*/tests.yaml": "rule-tests"}


def field(kind: str, path: str) -> Field:
    (found,) = {one for one in fields_of(kind) if one.path == path}
    return found


def keys_of(value: Any, at: str = "") -> Iterator[str]:
    """Every path of a file, as the page writes it."""
    if isinstance(value, list):
        for item in value:
            yield from keys_of(item, f"{at}[]")
    elif isinstance(value, dict):
        for key, inner in value.items():
            path = f"{at}.{key}" if at else str(key)
            yield path
            yield from keys_of(inner, path)


@pytest.mark.parametrize("pattern", KINDS)
def test_whatever_the_examples_say_is_a_field_of_the_page(pattern: str) -> None:
    known = {one.path for one in fields_of(KINDS[pattern])}
    maps = tuple(path.partition("{}")[0] for path in known if "{}" in path)
    maps += tuple(one.path for one in fields_of(KINDS[pattern]) if one.kind.startswith(("map", "anything")))
    files = sorted(RULES.glob(pattern))
    assert files
    for file in files:
        said = set(keys_of(yaml.safe_load(file.read_text())))
        unknown = {path for path in said - known if not path.startswith(tuple(f"{name}." for name in maps))}
        assert not unknown, file


@pytest.mark.parametrize(
    ("path", "kind", "default"),
    [
        ("primary", "a name of letters, digits, dots, dashes and underscores", "required"),
        ("cost_ceiling.then", "`reject` or list of string", "required"),
        ("rules[].when.input_tokens.over", "integer (≥ 0)", "–"),
        ("cost_ceiling.on_store_error", "`local_share`, `allow`, `deny`", '`"local_share"`'),
    ],
)
def test_a_field_says_what_it_takes_and_what_it_is_when_left_out(path: str, kind: str, default: str) -> None:
    assert field("use-case", path)[1:3] == (kind, default)


def test_every_field_says_what_it_means() -> None:
    silent = [(kind, one.path) for kind in WRITTEN_FILES for one in fields_of(kind) if not one.meaning]
    assert silent == []


def test_every_row_has_four_cells_and_stands_once() -> None:
    rows = [line for line in field_page().splitlines() if line.startswith("| `")]
    assert {len(line.replace("\\|", "").split("|")) for line in rows} == {6}
    for kind in WRITTEN_FILES:
        assert len(fields_of(kind)) == len(set(fields_of(kind))), kind
