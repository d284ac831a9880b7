"""What rule files may say already but this version does not act on yet: said aloud, so that nobody relies on it."""

from collections.abc import Iterator
from datetime import date

from schemas.bundle import SERVED_DIALECTS
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet


def everything_is_enforced(rules: RuleSet, today: date) -> Iterator[Problem]:
    for provider in rules.providers.values():
        if provider.content.dialect not in SERVED_DIALECTS:
            message = (
                f'this version does not call "{provider.content.dialect}" providers yet: their targets are skipped'
            )
            yield provider.problem(("dialect",), "dialect-not-served-yet", message, severity="warning")
