"""Shadows: whether the model can be asked at all, and whether its answers say anything new."""

from collections.abc import Iterator
from datetime import date

from schemas.checks.chains import what_lacks
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet
from schemas.rules.use_case import When

EVERY_CALL = When()


def shadows_can_be_asked(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        shadow = use_case.content.shadow
        if shadow is None or shadow.model not in rules.models:
            continue  # An unknown or unreadable model is reported as such.
        if shadow.model == use_case.content.primary:
            message = f'"{shadow.model}" is the primary itself: a call that it answered is not asked again'
            yield use_case.problem(("shadow", "model"), "shadow-is-primary", message, "name another model")
        elif lack := what_lacks(rules, rules.models[shadow.model].content, use_case.content.requires, EVERY_CALL):
            message = f'"{shadow.model}" can never be asked: {lack}'
            yield use_case.problem(
                ("shadow", "model"), "requirement-never-met", message, "name a model that can, or require less"
            )
