"""YAML as people write it: values with their places, or a reason with its place; never an exception."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.yaml_source import MAX_FILE_BYTES, MAX_NODES, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-10-01", "2026-10-01"),
        ("0x10", "0x10"),
        ("010", 10),
        ("-5", -5),
        ("3.30", Decimal("3.30")),
        ("1e-7", Decimal("1e-7")),
        (".5", Decimal("0.5")),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ('"5"', "5"),
        ("'true'", "true"),
        ("|-\n  5", "5"),
        ("~", None),
        ("", None),
        ("4.6", Decimal("4.6")),
        ("9" * 40, "9" * 40),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    document, problems = parse_yaml("a.yaml", f"key: {text}\n")
    assert document is not None, problems
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_every_value_and_key_has_its_place() -> None:
    document, _ = parse_yaml("a.yaml", "top:\n  - {a: 1,\n     b: [x, yy]}\n")
    assert document is not None
    assert document.place_of(("top", 0, "b", 1)) == (3, 13)
    assert document.place_of_key(("top", 0, "b")) == (3, 6)
    assert document.place_of(("top", 0, "nothing", "here")) == (2, 5)
    assert document.place_of_key(("top", 0, "nothing")) == (2, 5)


def test_columns_count_characters() -> None:
    document, _ = parse_yaml("a.yaml", "k: {é: ü, ß: x}\n")
    assert document is not None
    assert document.place_of(("k", "ß")) == (1, 14)


def test_an_alias_repeats_its_anchor() -> None:
    document, _ = parse_yaml("a.yaml", "a: &chain [x, y]\nb: *chain\n")
    assert document is not None
    assert document.data == {"a": ["x", "y"], "b": ["x", "y"]}
    assert document.place_of(("b", 1)) == (2, 4)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a: 1\n\tb: 2\n", "tab", (2, 1)),
        ("a: [1\n", "yaml-syntax", (2, 1)),
        ("a: b: c\n", "yaml-syntax", (1, 5)),
        ("a: 1\n---\nb: 2\n", "several-documents", (2, 1)),
        ("# only words\n", "empty-file", (0, 0)),
        ("a: &x [*x]\n", "unknown-alias", (1, 8)),
        ("a: !!python/object/apply:os.system [ls]\n", "yaml-tag", (1, 4)),
        ("{[a]: b}\n", "key-not-text", (1, 2)),
        ("null: b\n", "key-not-text", (1, 1)),
        ("a: \x07\n", "not-text", (1, 4)),
        ("a: \udcff\n", "not-text", (1, 4)),
        ("a: " + "[" * 200_000, "too-deep", (1, 36)),
        ("- x\n" * (MAX_NODES + 1), "too-many-values", (MAX_NODES, 3)),
        ("# " + "x" * MAX_FILE_BYTES, "file-too-large", (0, 0)),
    ],
    ids=lambda value: value if isinstance(value, str) and "-" in value[:20] and len(value) < 30 else "",
)
def test_what_cannot_be_read_says_why_and_where(text: str, code: str, place: tuple[int, int]) -> None:
    document, problems = parse_yaml("a.yaml", text)
    assert document is None
    assert [(p.file, p.code, (p.line, p.column), p.severity) for p in problems] == [("a.yaml", code, place, "error")]


def test_an_alias_bomb_is_counted_not_built() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    document, problems = parse_yaml("a.yaml", "\n".join(lines))
    assert document is None
    assert [problem.code for problem in problems] == ["too-many-values"]


def test_a_duplicate_key_names_the_first() -> None:
    _, problems = parse_yaml("a.yaml", "a: 1\nb: 2\na: 3\n")
    assert [(p.code, p.line, p.message) for p in problems] == [
        ("duplicate-key", 3, '"a" stands here a second time; the first is in line 1')
    ]


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@`?\n\t 01.~\x00é\U0001f600\ud800", max_size=60))
def test_no_text_is_too_odd_to_be_answered(text: str) -> None:
    document, problems = parse_yaml("a.yaml", text)
    assert (document is None) is bool(problems)
    for problem in problems:
        assert problem.line <= text.count("\n") + text.count("\r") + 2
