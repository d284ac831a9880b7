"""Owners and grants of pointsman.yaml: each file in its owner's folder, each use case within what its team may use."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase

from schemas.checks.chain_members import models_named
from schemas.checks.names import unknown
from schemas.ownership import UnclearGlob, owners_of, patterns_of
from schemas.problems import Problem
from schemas.rules.platform import Grant, Platform
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Path

DAYS_OF_A_MONTH = 31
"""The longest: a ceiling per day allows this many of it."""


def globs_of_owners_are_clear(rules: RuleSet, today: date) -> Iterator[Problem]:
    for team, globs in rules.platform.content.owners.items():
        for index, glob in enumerate(globs):
            try:
                patterns_of(glob)
            except UnclearGlob as error:
                yield rules.platform.problem(("owners", team, index), "unclear-owners", str(error))


def clear_owners(platform: Platform) -> Mapping[str, Sequence[str]]:
    """The owners; none where a glob among them cannot be read, which is a problem of its own."""
    try:
        for globs in platform.owners.values():
            for glob in globs:
                patterns_of(glob)
    except UnclearGlob:
        return {}
    return platform.owners


def owners_are_listed(rules: RuleSet, today: date) -> Iterator[Problem]:
    """Only where owners are listed at all; who owns what is the platform team's choice to make."""
    known = rules.platform.content.owners
    for use_case in rules.use_cases.values() if known else ():
        if use_case.content.owner not in known:
            message, suggestion = unknown("owner", use_case.content.owner, known)
            yield use_case.problem(("owner",), "unknown-owner", message, suggestion)
    for team in rules.platform.content.grants if known else ():
        if team not in known:
            message, suggestion = unknown("owner", team, known)
            yield rules.platform.problem(("grants", team), "unknown-owner", message, suggestion, at_key=True)


def files_lie_with_their_owner(rules: RuleSet, today: date) -> Iterator[Problem]:
    owners = clear_owners(rules.platform.content)
    for name, use_case in rules.use_cases.items() if owners else ():
        team = use_case.content.owner
        for rule_file in (use_case, rules.tests.get(name)):
            if rule_file is None or team not in owners or team in (theirs := owners_of(rule_file.file, owners)):
                continue
            whose = f"it belongs to {' and '.join(theirs)}" if theirs else "no team owns it"
            message = f'"{team}" does not own {rule_file.file}: {whose}'
            suggestion = f"list it under owners.{team} in pointsman.yaml, or name its owner"
            yield use_case.problem(("owner",), "outside-owner", message, suggestion)


def every_file_has_an_owner(rules: RuleSet, today: date) -> Iterator[Problem]:
    """A file of nobody can be changed by nobody; those of use cases are judged with their owner."""
    owners = clear_owners(rules.platform.content)
    for file in _platform_files(rules) if owners else ():
        if not owners_of(file, owners):
            message, suggestion = "no team owns this file", 'list it in pointsman.yaml, as owners: {platform: ["**"]}'
            yield Problem(file, 0, 0, "unowned-file", "warning", message, suggestion)


def _platform_files(rules: RuleSet) -> Iterator[str]:
    yield rules.platform.file
    yield from (provider.file for provider in rules.providers.values())
    yield from (model.file for model in rules.models.values())


def use_cases_keep_to_their_grant(rules: RuleSet, today: date) -> Iterator[Problem]:
    grants = rules.platform.content.grants
    for use_case in rules.use_cases.values():
        grant = grants.get(use_case.content.owner)
        if grant is not None:
            yield from _models_above(use_case, grant)
            yield from _regions_above(use_case, grant)


def _models_above(use_case: RuleFile[UseCase], grant: Grant) -> Iterator[Problem]:
    for path, model in models_named(use_case.content) if grant.models else ():
        if not any(fnmatchcase(model, glob) for glob in grant.models):
            message = f'"{model}" is not among the models that {use_case.content.owner} may use'
            yield use_case.problem(path, "above-grant", message, f"granted: {', '.join(grant.models)}")


def _regions_above(use_case: RuleFile[UseCase], grant: Grant) -> Iterator[Problem]:
    """What a call may be sent to is held to `requires.regions`: it must be said, and be within the grant."""
    granted = ", ".join(grant.regions)
    regions = use_case.content.requires.regions
    if grant.regions and not regions:
        message = f"the data of {use_case.content.owner} may be processed in {granted} only, and nothing here says so"
        path: Path = ("requires",)
        suggestion = f"add requires: {{regions: [{granted}]}}"
        yield use_case.problem(path, "above-grant", message, suggestion, at_key=True)
    for index, region in enumerate(regions if grant.regions else ()):
        if region not in grant.regions:
            message = f'"{region}" is not among the regions of {use_case.content.owner}'
            yield use_case.problem(("requires", "regions", index), "above-grant", message, f"granted: {granted}")


def ceilings_keep_to_the_grant(rules: RuleSet, today: date) -> Iterator[Problem]:
    grants = rules.platform.content.grants
    for team, use_cases in _by_owner(rules).items():
        grant = grants.get(team)
        if grant is None or grant.per_month is None:
            continue
        most = [(use_case, most_per_month(use_case.content)) for use_case in use_cases]
        for use_case, amount in most:
            if amount is None:
                message = f"{team} may spend {grant.per_month} a month, and nothing bounds what this use case spends"
                suggestion = "add cost_ceiling with per_month or hard.per_month"
                yield use_case.problem(("cost_ceiling",), "above-grant", message, suggestion, at_key=True)
        known = [(amount, use_case.content.use_case, use_case) for use_case, amount in most if amount is not None]
        total = sum((amount for amount, _, _ in known), Decimal(0))
        if total > grant.per_month:
            largest = max(known, key=lambda item: item[:2])[2]
            parts = ", ".join(f"{name} {amount}" for amount, name, _ in sorted(known, key=lambda item: -item[0])[:5])
            more = ", …" if len(known) > 5 else ""
            message = f"the ceilings of {team} add up to {total} a month, above its {grant.per_month}: {parts}{more}"
            yield largest.problem(
                ("cost_ceiling",), "above-grant", message, "lower some, or ask for a larger grant", at_key=True
            )


def _by_owner(rules: RuleSet) -> Mapping[str, list[RuleFile[UseCase]]]:
    owned: dict[str, list[RuleFile[UseCase]]] = {}
    for use_case in rules.use_cases.values():
        owned.setdefault(use_case.content.owner, []).append(use_case)
    return owned


def most_per_month(use_case: UseCase) -> Decimal | None:
    """What bounds a use case in a month: its hard ceiling, else the one that leads to cheaper; None without either."""
    ceiling = use_case.cost_ceiling
    if ceiling is None:
        return None
    soft = _per_month(ceiling.per_month, ceiling.per_day)
    return soft if ceiling.hard is None else _per_month(ceiling.hard.per_month, ceiling.hard.per_day) or soft


def _per_month(per_month: Decimal | None, per_day: Decimal | None) -> Decimal | None:
    days = None if per_day is None else per_day * DAYS_OF_A_MONTH
    return min((amount for amount in (per_month, days) if amount is not None), default=None)
