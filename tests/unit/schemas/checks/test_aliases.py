"""Aliases are compared with few others, and yet no conflict is missed."""

from collections.abc import Sequence
from datetime import date
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from schemas.checks.aliases import aliases_are_unambiguous
from schemas.globs import covers
from schemas.rules.platform import Platform
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Document

NOWHERE = Document({}, {}, {})
ALIASES = st.lists(st.text("ab*?[]", min_size=1, max_size=5), min_size=2, max_size=8, unique=True)


def rules_with(aliases: Sequence[str]) -> RuleSet:
    """One use case per alias."""
    use_cases = {
        f"use-case-{number}": RuleFile(
            f"use-cases/use-case-{number}/use-case.yaml",
            UseCase.model_validate(
                {"use_case": f"use-case-{number}", "owner": "team", "primary": "m", "aliases": [alias]}
            ),
            NOWHERE,
        )
        for number, alias in enumerate(aliases)
    }
    platform = RuleFile("pointsman.yaml", Platform.model_validate({"schema": 1}), NOWHERE)
    return RuleSet("r", platform, {}, {}, use_cases, {})


@given(ALIASES)
def test_every_overlap_of_two_aliases_is_found(aliases: list[str]) -> None:
    found = list(aliases_are_unambiguous(rules_with(aliases), date(2026, 11, 23)))
    assert len(found) == sum(covers(one, two) or covers(two, one) for one, two in combinations(aliases, 2))
