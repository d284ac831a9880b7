"""What rule files may say already but this version does not act on yet: said aloud, so that nobody relies on it."""

from collections.abc import Iterator
from datetime import date

from pydantic import BaseModel

from schemas.bundle import SERVED_DIALECTS
from schemas.problems import Problem
from schemas.rules.model import Model
from schemas.rules.platform import Platform
from schemas.rules.provider import Provider
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Path

OF_A_PROVIDER = ("limits",)
OF_A_MODEL = ("limits",)
OF_A_USE_CASE = ("quality_bar", "limits", "shadow")
OF_A_CALLER = ("limits", "per_month", "on_store_error")
OF_THE_PLATFORM = ("rollout", "grants", "owners")


def everything_is_enforced(rules: RuleSet, today: date) -> Iterator[Problem]:
    for provider in rules.providers.values():
        if provider.content.dialect not in SERVED_DIALECTS:
            message = (
                f'this version does not call "{provider.content.dialect}" providers yet: their targets are skipped'
            )
            yield provider.problem(("dialect",), "dialect-not-served-yet", message, severity="warning")
        yield from _said(provider, provider.content, OF_A_PROVIDER, ())
    for model in rules.models.values():
        yield from _said(model, model.content, OF_A_MODEL, ())
    for use_case in rules.use_cases.values():
        yield from _said(use_case, use_case.content, OF_A_USE_CASE, ())
    yield from _said(rules.platform, rules.platform.content, OF_THE_PLATFORM, ())
    for index, caller in enumerate(rules.platform.content.callers):
        yield from _said(rules.platform, caller, OF_A_CALLER, ("callers", index))


def _said(
    rule_file: RuleFile[Provider] | RuleFile[Model] | RuleFile[UseCase] | RuleFile[Platform],
    content: BaseModel,
    keys: tuple[str, ...],
    path: Path,
) -> Iterator[Problem]:
    for key in keys:
        if key in content.model_fields_set:
            message = f'"{key}" is read and checked, but this version does not enforce it yet'
            yield rule_file.problem((*path, key), "not-enforced-yet", message, severity="warning", at_key=True)
