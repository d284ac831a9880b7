"""Canary and split: whether each model can take its part, and something is left for the primary. And whether a sticky
conversation has anywhere else to be."""

from collections.abc import Iterator
from datetime import date

from schemas.checks.chain_members import Chain, chains_of
from schemas.checks.chains import what_lacks
from schemas.problems import Problem
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase


def arms_differ(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case, chain in _with_arms(rules):
        primary = chain.members[0][1]
        seen: set[str] = set()
        for path, share in chain.arms:
            place = (*path, "model")
            if share.model == primary:
                message = f'"{share.model}" is the primary itself'
                yield use_case.problem(
                    place, "share-is-primary", message, "name another model: the primary has the rest"
                )
            elif share.model in seen:
                message = f'"{share.model}" already has a part of these calls'
                yield use_case.problem(place, "repeated-model", message, "remove it, or name another model")
            seen.add(share.model)


def arms_can_serve(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case, chain in _with_arms(rules):
        for path, share in chain.arms:
            model = rules.models.get(share.model)
            if model is None:
                continue  # An unknown or unreadable model is reported as such.
            if lack := what_lacks(rules, model.content, use_case.content.requires, chain.when):
                message = f'"{share.model}" can never take its part: {lack}'
                yield use_case.problem(
                    (*path, "model"), "requirement-never-met", message, "name a model that can, or require less"
                )


def splits_leave_a_rest(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case, chain in _with_arms(rules):
        split = [(path, share) for path, share in chain.arms if path != ("canary",)]
        percent = sum(share.percent for _, share in split)
        if percent >= 100:
            message = f'the split is {percent} percent: nothing is left for the primary, "{chain.members[0][1]}"'
            suggestion = "the primary is no part of the split: it has what the others leave"
            yield use_case.problem(split[0][0][:-1], "split-leaves-nothing", message, suggestion, at_key=True)
        elif split and len(split) < len(chain.arms) and chain.arms[0][1].percent == 100:
            message = "the canary takes every call, so that the split has none"
            yield use_case.problem(("canary", "percent"), "split-never-drawn", message, severity="warning")


SMALLEST_ARM = 100
"""Calls that the smaller side needs before a canary is judged."""


def canaries_can_be_judged(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        content = use_case.content
        canary = content.canary
        if canary is None:
            continue
        if canary.signal == "checks" and not (content.quality_bar and content.quality_bar.checks):
            message = "no checks say whether its answers are good: it stays at its percentage until guardrails end it"
            suggestion = "name checks in quality_bar, or signal: outcome"
            yield use_case.problem(
                ("canary",), "canary-without-signal", message, suggestion, severity="warning", at_key=True
            )
        most = canary.max_calls or 4 * canary.planned_calls
        smaller = most * min(canary.percent, 100 - canary.percent) / 100
        if canary.percent < 100 and smaller < SMALLEST_ARM:
            key = "percent" if canary.max_calls is None else "max_calls"
            message = f"of {most} calls one side has about {smaller:.0f}, and is not judged below {SMALLEST_ARM}"
            suggestion = "raise max_calls or planned_calls, or begin with another percentage"
            yield use_case.problem(("canary", key), "canary-too-small", message, suggestion, severity="warning")


def sticky_has_a_choice(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        if use_case.content.sticky is not None and all(
            _doors(rules, chain) == 1 for chain in chains_of(use_case.content)
        ):
            message = "there is one target alone, where every conversation stays anyway"
            yield use_case.problem(("sticky",), "sticky-without-choice", message, severity="warning", at_key=True)


def _doors(rules: RuleSet, chain: Chain) -> int:
    named = {*chain.models, *(share.model for _, share in chain.arms)}
    return sum(len(rules.models[model].content.served_by) if model in rules.models else 2 for model in named)


def _with_arms(rules: RuleSet) -> Iterator[tuple[RuleFile[UseCase], Chain]]:
    for use_case in rules.use_cases.values():
        for chain in chains_of(use_case.content):
            if chain.arms:
                yield use_case, chain
