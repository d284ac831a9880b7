"""Models that their vendor retires: said early, and an error where a customer would notice."""

from collections.abc import Iterator
from datetime import date

from schemas.checks.chain_members import models_named
from schemas.checks.names import unknown
from schemas.checks.severity import severity_for
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet


def no_chain_relies_on_what_goes_away(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        for path, name in models_named(use_case.content):
            model = rules.models.get(name)
            end = model.content.deprecated if model is not None else None
            if end is None:
                continue
            suggestion = f'use "{end.replaced_by}"' if end.replaced_by else ""
            if end.retires is not None and end.retires <= today:
                message = f'"{name}" was retired by its vendor on {end.retires}'
                yield use_case.problem(
                    path, "retired-model", message, suggestion, severity=severity_for(use_case.content)
                )
            elif end.since <= today:
                until = f", and goes away on {end.retires}" if end.retires else ""
                message = f'"{name}" is deprecated since {end.since}{until}'
                yield use_case.problem(path, "deprecated-model", message, suggestion, severity="warning")


def successors_exist(rules: RuleSet, today: date) -> Iterator[Problem]:
    known = rules.model_names()
    for model in rules.models.values():
        end = model.content.deprecated
        if end is None:
            continue
        if end.replaced_by == model.content.model:
            message = f'"{end.replaced_by}" is the deprecated model itself'
            yield model.problem(("deprecated", "replaced_by"), "deprecation-unclear", message, "name its successor")
        elif end.replaced_by is not None and end.replaced_by not in known:
            message, suggestion = unknown("model", end.replaced_by, known)
            yield model.problem(("deprecated", "replaced_by"), "unknown-model", message, suggestion)
        if end.retires is not None and end.retires < end.since:
            message = f"retired on {end.retires}, before it is deprecated on {end.since}"
            yield model.problem(("deprecated", "retires"), "deprecation-unclear", message)
