"""A choice changed in a rule file's text: everything else stays as people wrote it."""

import pytest

from controller.evals.rule_edit import CannotEdit, Place, with_choice

FLOW = """\
# Ours.
use_case: chat   # the name
primary: "a"     # since spring
fallbacks: [b, c]  # in this order
cost_ceiling: {per_day: 9, then: [x, y]}
"""
BLOCK = """\
use_case: chat
primary: a
fallbacks:
  # cheap first
  - b   # soon gone
  - c

# money
cost_ceiling:
  per_day: 9
  then:
    - x
owner: team"""


@pytest.mark.parametrize(
    ("text", "place", "model", "lines"),
    [
        (FLOW, "primary", "n", {'primary: "a"     # since spring': "primary: n     # since spring",
                                "fallbacks: [b, c]  # in this order": "fallbacks: [a, b, c]  # in this order"}),
        (FLOW, "primary", "b", {'primary: "a"     # since spring': "primary: b     # since spring",
                                "[b, c]": "[a, c]"}),
        (FLOW, "primary", "y", {'primary: "a"     # since spring': "primary: y     # since spring",
                                "[b, c]": "[a, b, c]", "[x, y]": "[x]"}),
        (FLOW, "fallback", "n", {"[b, c]": "[b, c, n]"}),
        (FLOW, "cost", "n", {"[x, y]": "[x, y, n]"}),
        (FLOW, "canary", "n",
         {"# in this order\n": "# in this order\ncanary: {model: n, percent: 5, signal: outcome}\n"}),
        (BLOCK, "primary", "n", {"primary: a": "primary: n", "  - b   #": "  - a\n  - b   #"}),
        (BLOCK, "primary", "c", {"primary: a": "primary: c", "  - b   #": "  - a\n  - b   #", "  - c\n": ""}),
        (BLOCK, "fallback", "n", {"  - c\n": "  - c\n  - n\n"}),
        (BLOCK, "cost", "n", {"    - x\n": "    - x\n    - n\n"}),
        (BLOCK, "canary", "n", {"  - c\n": "  - c\ncanary: {model: n, percent: 5, signal: outcome}\n"}),
        ("use_case: chat\nprimary: a", "fallback", "n", {"primary: a": "primary: a\nfallbacks: [n]\n"}),
        ("primary: a\nfallbacks: []\n", "primary", "n", {"primary: a": "primary: n", "[]": "[a]"}),
        ("primary: a\nfallbacks: [n]\n", "primary", "n", {"primary: a": "primary: n", "[n]": "[a]"}),
        ("primary: a\ncanary: {model: n, percent: 9}\n", "primary", "n",
         {"primary: a\ncanary: {model: n, percent: 9}\n": "primary: n\nfallbacks: [a]\n"}),
        ("primary: a\ncanary:\n  model: m\n  percent: 9\nowner: t\n", "canary", "n",
         {"canary:\n  model: m\n  percent: 9\n": "canary: {model: n, percent: 5, signal: outcome}\n"}),
        ("quality_bar: {checks: [complete]}\nprimary: a\n", "canary", "n",
         {"primary: a\n": "primary: a\ncanary: {model: n, percent: 5}\n"}),
    ],
)  # fmt: skip
def test_only_the_choice_changes(text: str, place: Place, model: str, lines: dict[str, str]) -> None:
    wanted = text
    for old, new in lines.items():
        assert old in wanted
        wanted = wanted.replace(old, new)
    assert with_choice(text, place, model) == wanted


@pytest.mark.parametrize(
    ("text", "place", "model", "said"),
    [
        (FLOW, "primary", "a", "a is the primary already"),
        (FLOW, "fallback", "c", "c is in the chain already"),
        (FLOW, "cost", "x", "x is in cost_ceiling.then already"),
        (FLOW, "quality", "n", r"there is no quality_bar yet; write one with then: \[n\]"),
        ("primary: a\ncost_ceiling: {then: reject}\n", "cost", "n", "names no models"),
        ("primary: &x a\nfallbacks: [b]\nowner: *x\n", "primary", "n", "by hand"),
        ("{primary: a}", "canary", "n", "no place for canary"),
    ],
)
def test_what_cannot_be_edited_for_sure_is_refused(text: str, place: Place, model: str, said: str) -> None:
    with pytest.raises(CannotEdit, match=said):
        with_choice(text, place, model)
