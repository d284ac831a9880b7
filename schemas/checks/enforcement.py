"""What rule files may say already but this version does not act on yet: said aloud, so that nobody relies on it."""

from collections.abc import Iterator
from datetime import date

from pydantic import BaseModel

from schemas.bundle import SERVED_DIALECTS
from schemas.problems import Problem
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Path

OF_A_USE_CASE = ("shadow",)


def everything_is_enforced(rules: RuleSet, today: date) -> Iterator[Problem]:
    for provider in rules.providers.values():
        if provider.content.dialect not in SERVED_DIALECTS:
            message = (
                f'this version does not call "{provider.content.dialect}" providers yet: their targets are skipped'
            )
            yield provider.problem(("dialect",), "dialect-not-served-yet", message, severity="warning")
    for use_case in rules.use_cases.values():
        yield from _said(use_case, use_case.content, OF_A_USE_CASE)


def _said(
    rule_file: RuleFile[UseCase], content: BaseModel, keys: tuple[str, ...], within: Path = ()
) -> Iterator[Problem]:
    for key in keys:
        if key in content.model_fields_set:
            message = f'"{key}" is read and checked, but this version does not enforce it yet'
            yield rule_file.problem((*within, key), "not-enforced-yet", message, severity="warning", at_key=True)
