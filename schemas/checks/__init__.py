"""The meaning of rule files: one small function per check, all listed here; each yields its findings."""

from collections.abc import Callable, Iterator
from datetime import date

from schemas.checks import (
    aliases,
    arms,
    ceilings,
    chains,
    deprecated,
    emergencies,
    enforcement,
    limits,
    names,
    ownership,
    price_rows,
    prices,
    providers,
    reviews,
    rule_order,
    shadows,
)
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet

Check = Callable[[RuleSet, date], Iterator[Problem]]

CHECKS: tuple[Check, ...] = (
    names.served_by_known_providers,
    names.use_cases_name_known_models,
    names.locks_name_known_vendors,
    names.callers_name_known_use_cases,
    names.tests_name_what_exists,
    aliases.aliases_are_unambiguous,
    providers.base_urls_are_plain,
    providers.headers_hold_no_secrets,
    providers.layouts_fit,
    providers.fields_are_knobs,
    providers.auth_fits,
    prices.every_door_has_a_price,
    prices.prices_are_not_stale,
    prices.price_dates_differ,
    prices.doors_differ,
    price_rows.free_is_said_aloud,
    price_rows.tiers_grow,
    price_rows.every_part_is_said,
    price_rows.services_are_clear,
    price_rows.caches_are_cheaper,
    price_rows.factors_stand_alone,
    price_rows.hours_are_priced,
    chains.chains_do_not_repeat,
    chains.requirements_can_be_met,
    chains.fallbacks_hold_long_calls,
    chains.chains_span_vendors,
    chains.embeddings_keep_to_one_model,
    chains.chains_span_providers,
    chains.deadlines_cover_the_chain,
    arms.arms_differ,
    arms.arms_can_serve,
    arms.splits_leave_a_rest,
    arms.canaries_can_be_judged,
    arms.sticky_has_a_choice,
    shadows.shadows_can_be_asked,
    ceilings.ceilings_grow,
    ceilings.hard_ceilings_are_the_last,
    ceilings.ceilings_lead_elsewhere,
    ceilings.ceilings_lead_to_cheaper,
    limits.limits_can_be_reached,
    limits.callers_away_rules_have_a_budget,
    rule_order.rules_can_match,
    reviews.reviews_are_not_overdue,
    emergencies.emergencies_end,
    deprecated.no_chain_relies_on_what_goes_away,
    deprecated.successors_exist,
    ownership.globs_of_owners_are_clear,
    ownership.owners_are_listed,
    ownership.files_lie_with_their_owner,
    ownership.every_file_has_an_owner,
    ownership.use_cases_keep_to_their_grant,
    ownership.ceilings_keep_to_the_grant,
    enforcement.everything_is_enforced,
)


def check_rules(rules: RuleSet, today: date) -> Iterator[Problem]:
    """Every finding of every check."""
    for check in CHECKS:
        yield from check(rules, today)
