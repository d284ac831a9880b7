"""Rules that can never match, because an earlier one always does. Sound: what is reported is surely unreachable."""

from collections.abc import Iterator, Mapping
from datetime import date

from schemas.globs import covers
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet
from schemas.rules.use_case import TokenRange, When


def rules_can_match(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        listed = use_case.content.rules
        for index, rule in enumerate(listed):
            earlier = next((e for e in range(index) if implies(rule.when, listed[e].when)), None)
            if earlier is not None:
                message = f"this rule can never match: rules[{earlier}] matches whenever it does, and comes first"
                yield use_case.problem(
                    ("rules", index, "when"), "unreachable-rule", message, "move it up, or remove it", at_key=True
                )


def implies(narrow: When, wide: When) -> bool:
    """Whether every call that `narrow` matches is surely matched by `wide`."""
    return (
        _range_within(narrow.input_tokens, wide.input_tokens)
        and set(wide.needs) <= set(narrow.needs)
        and wide.stream in (None, narrow.stream)
        and _globs_within(narrow.agent, wide.agent)
        and _globs_within(narrow.caller, wide.caller)
        and _mapping_within(narrow.header, wide.header)
        and _mapping_within(narrow.metadata, wide.metadata)
        and wide.hours in (None, narrow.hours)
    )


def _range_within(narrow: TokenRange | None, wide: TokenRange | None) -> bool:
    if wide is None:
        return True
    if narrow is None:
        return False
    over_holds = wide.over is None or (narrow.over is not None and narrow.over >= wide.over)
    under_holds = wide.under is None or (narrow.under is not None and narrow.under <= wide.under)
    return over_holds and under_holds


def _globs_within(narrow: tuple[str, ...] | None, wide: tuple[str, ...] | None) -> bool:
    if wide is None:
        return True
    return narrow is not None and all(any(covers(w, n) for w in wide) for n in narrow)


def _mapping_within(narrow: Mapping[str, str], wide: Mapping[str, str]) -> bool:
    return all(name in narrow and covers(glob, narrow[name]) for name, glob in wide.items())
