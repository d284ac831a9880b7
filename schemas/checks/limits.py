"""Limits that can work."""

from collections.abc import Iterator
from datetime import date

from schemas.problems import Problem
from schemas.rules.base import Limits
from schemas.rules.model import Model
from schemas.rules.platform import Platform
from schemas.rules.provider import Provider
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Path


def limits_can_be_reached(rules: RuleSet, today: date) -> Iterator[Problem]:
    """A call takes at least one token, so that no more calls than tokens can pass."""
    for provider in rules.providers.values():
        yield from _never_reached(provider, provider.content.limits, ("limits",))
    for model in rules.models.values():
        yield from _never_reached(model, model.content.limits, ("limits",))
    for use_case in rules.use_cases.values():
        yield from _never_reached(use_case, use_case.content.limits, ("limits",))
    for index, caller in enumerate(rules.platform.content.callers):
        yield from _never_reached(rules.platform, caller.limits, ("callers", index, "limits"))


def callers_away_rules_have_a_budget(rules: RuleSet, today: date) -> Iterator[Problem]:
    for index, caller in enumerate(rules.platform.content.callers):
        if caller.per_month is None and "on_store_error" in caller.model_fields_set:
            message, suggestion = "this caller has no per_month to hold it to", "add per_month, or write it in limits"
            path = ("callers", index, "on_store_error")
            yield rules.platform.problem(path, "budget-missing", message, suggestion, at_key=True)


def _never_reached(
    rule_file: RuleFile[Provider] | RuleFile[Model] | RuleFile[UseCase] | RuleFile[Platform],
    limits: Limits | None,
    path: Path,
) -> Iterator[Problem]:
    if limits is None or limits.requests_per_minute is None or limits.tokens_per_minute is None:
        return
    if limits.requests_per_minute >= limits.tokens_per_minute:
        message = (
            f"requests_per_minute {limits.requests_per_minute} can never be reached under "
            f"tokens_per_minute {limits.tokens_per_minute}"
        )
        suggestion = "a call takes hundreds of tokens; raise tokens_per_minute"
        where = (*path, "requests_per_minute")
        yield rule_file.problem(where, "limit-never-reached", message, suggestion, severity="warning")
