"""The meaning of rule files: one small function per check, all listed here; each yields its findings."""

from collections.abc import Callable, Iterator
from datetime import date

from schemas.checks import ceilings, chains, enforcement, limits, names, prices, providers, reviews, rule_order
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet

Check = Callable[[RuleSet, date], Iterator[Problem]]

CHECKS: tuple[Check, ...] = (
    names.served_by_known_providers,
    names.use_cases_name_known_models,
    names.locks_name_known_vendors,
    names.owners_are_listed,
    names.callers_name_known_use_cases,
    names.tests_name_what_exists,
    names.aliases_are_unambiguous,
    providers.base_urls_are_plain,
    providers.headers_hold_no_secrets,
    providers.layouts_fit,
    providers.auth_fits,
    prices.every_door_has_a_price,
    prices.price_dates_differ,
    prices.doors_differ,
    chains.chains_do_not_repeat,
    chains.requirements_can_be_met,
    chains.chains_span_vendors,
    chains.chains_span_providers,
    chains.deadlines_cover_the_chain,
    ceilings.ceilings_grow,
    ceilings.hard_ceilings_are_the_last,
    ceilings.ceilings_lead_elsewhere,
    ceilings.ceilings_lead_to_cheaper,
    limits.limits_can_be_reached,
    limits.callers_away_rules_have_a_budget,
    rule_order.rules_can_match,
    reviews.reviews_are_not_overdue,
    enforcement.everything_is_enforced,
)


def check_rules(rules: RuleSet, today: date) -> Iterator[Problem]:
    """Every finding of every check."""
    for check in CHECKS:
        yield from check(rules, today)
