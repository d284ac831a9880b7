"""The plan of one call: targets in order, each with its reason, and every target that was skipped with its own.

A pure function of facts, snapshot, health and spend. It calls nobody, so it can be asked for an explanation, run over
rule tests, and replayed over recorded calls.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from schemas.bundle import SERVED_DIALECTS, DialectName, Price
from sidecar.errors import NotAllowed, UnknownTarget
from sidecar.routing.facts import Facts
from sidecar.routing.snapshot import Ceiling, Chain, Skipped, Snapshot, Target, UseCase, data_bar

ASSUMED_OUTPUT_TOKENS = 1024
"""For the estimate of a call that names no maximum: about a long page of text."""

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Planned:
    target: Target
    reason: str
    """`primary`, `fallback`, `rules[0]`, `cost_ceiling.per_day`, `pinned`, `state_owner`."""


@dataclass(frozen=True, slots=True)
class Plan:
    use_case: UseCase
    steps: tuple[Planned, ...]
    skipped: tuple[Skipped, ...]
    refusal: str | None = None
    """A ceiling that is hard, or whose `then` is `reject`: the call must be refused with this reason."""


@dataclass(frozen=True, slots=True)
class Spend:
    """What a use case has spent so far over the fleet, in US dollars, calls in flight at their estimates included."""

    per_day: Decimal = Decimal(0)
    per_month: Decimal = Decimal(0)


NOTHING_SPENT = Spend()


def plan(
    use_case: UseCase,
    facts: Facts,
    *,
    resting: Mapping[str, str],
    spend: Spend,
    at: datetime,
) -> Plan:
    """Order the targets for one call.

    Args:
        resting: provider, model or `model@provider` → why it is not to be tried now (`breaker_open`, `down`).
        spend: of this use case; held against its daily and monthly ceilings.
        at: when the call arrived (UTC): decides hours and prices.
    """
    chain, first_reason = _chain_for(use_case, facts, at)
    ceiling = use_case.ceiling
    beyond = _beyond(ceiling, spend)
    spent = beyond or _spent(ceiling, spend)
    if ceiling is not None and spent is not None:
        skipped = [*chain.barred, *(Skipped(target.model, target.provider, spent) for target in chain.targets)]
        if beyond or ceiling.then is None:
            return Plan(use_case, (), tuple(skipped), refusal=spent)
        steps, more = _usable(ceiling.then, facts, resting, None, at)
        return _finished(use_case, [Planned(target, spent) for target in steps], [*skipped, *more])
    steps, skipped = _usable(chain, facts, resting, ceiling, at)
    planned = [Planned(target, first_reason if target is chain.targets[0] else "fallback") for target in steps]
    if ceiling is not None and any(item.reason == PER_REQUEST for item in skipped):
        if ceiling.then is None and not planned:
            return Plan(use_case, (), tuple(skipped), refusal=PER_REQUEST)
        if ceiling.then is not None:
            cheaper, more = _usable(ceiling.then, facts, resting, ceiling, at)
            chosen = {item.target for item in planned}
            planned += [Planned(target, PER_REQUEST) for target in cheaper if target not in chosen]
            skipped = [*skipped, *more]
    return _finished(use_case, planned, skipped)


def _finished(use_case: UseCase, planned: list[Planned], skipped: list[Skipped]) -> Plan:
    """A target that stands in two chains is planned, or skipped once with the first reason: never both."""
    taken = {(step.target.model, step.target.provider) for step in planned}
    first: dict[tuple[str, str], Skipped] = {}
    for item in skipped:
        if (item.model, item.provider) not in taken:
            first.setdefault((item.model, item.provider), item)
    return Plan(use_case, tuple(planned), tuple(first.values()))


def plan_pinned(
    snapshot: Snapshot,
    use_case: UseCase,
    wanted: str,
    dialects: Collection[DialectName] = SERVED_DIALECTS,
    reason: str = "pinned",
) -> Plan:
    """`<model>` or `<model>@<provider>`: that target only, no fallback.

    Args:
        dialects: those that this kind of call can be made in.

    Raises:
        UnknownTarget: no such model, not at that provider, or in a dialect that is not served.
        NotAllowed: the target's regions or retention are not what the use case requires; a pin does not lift that.
    """
    model, at_sign, provider = wanted.partition("@")
    doors = snapshot.targets.get(model, ())
    found = next((door for door in doors if not at_sign or door.provider == provider), None)
    if found is None:
        known = ", ".join(sorted(door.key for door in doors) or sorted(snapshot.targets)[:10])
        raise UnknownTarget(f'{reason}: the rules do not have "{wanted}"; known: {known}')
    if found.dialect not in SERVED_DIALECTS:
        raise UnknownTarget(f'{reason}: this version does not call {found.dialect} yet, which "{wanted}" speaks')
    if found.dialect not in dialects:
        raise UnknownTarget(f'{reason}: {found.dialect}, which "{wanted}" speaks, has no such kind of call')
    if (bar := data_bar(found, use_case.requires)) is not None:
        raise NotAllowed(f'{found.key} may not have the data of use case "{use_case.name}": {bar}')
    return Plan(use_case, (Planned(found, reason),), ())


PER_REQUEST = "cost_ceiling.per_request"


def estimate_usd(price: Price, input_tokens: int, output_tokens: int) -> Decimal:
    """What a call would cost without any help from the provider's cache."""
    return (price.input * input_tokens + price.output * output_tokens) / MILLION


def _chain_for(use_case: UseCase, facts: Facts, at: datetime) -> tuple[Chain, str]:
    for index, rule in enumerate(use_case.rules):
        if rule.holds(facts, at):
            return rule.chain, f"rules[{index}]"
    return use_case.chain, "primary"


def _beyond(ceiling: Ceiling | None, spend: Spend) -> str | None:
    """The hard amount that is spent, or None."""
    if ceiling is None:
        return None
    if ceiling.hard.per_day is not None and spend.per_day >= ceiling.hard.per_day:
        return "cost_ceiling.hard.per_day"
    if ceiling.hard.per_month is not None and spend.per_month >= ceiling.hard.per_month:
        return "cost_ceiling.hard.per_month"
    return None


def _spent(ceiling: Ceiling | None, spend: Spend) -> str | None:
    if ceiling is None:
        return None
    if ceiling.per_day is not None and spend.per_day >= ceiling.per_day:
        return "cost_ceiling.per_day"
    if ceiling.per_month is not None and spend.per_month >= ceiling.per_month:
        return "cost_ceiling.per_month"
    return None


def _usable(
    chain: Chain, facts: Facts, resting: Mapping[str, str], ceiling: Ceiling | None, at: datetime
) -> tuple[list[Target], list[Skipped]]:
    usable: list[Target] = []
    skipped = list(chain.barred)
    for target in chain.targets:
        reason = _skip(target, facts, resting, ceiling, at)
        if reason is None:
            usable.append(target)
        else:
            skipped.append(Skipped(target.model, target.provider, reason))
    return usable, skipped


def _skip(
    target: Target, facts: Facts, resting: Mapping[str, str], ceiling: Ceiling | None, at: datetime
) -> str | None:
    """Why this target cannot take this call now, or None."""
    if not facts.needs <= target.capabilities:
        return f"capability.{min(facts.needs - target.capabilities)}"
    if facts.input_tokens > target.context_window:
        return "context_window"
    if resting:
        for name in (target.key, target.provider, target.model):
            if name in resting:
                return resting[name]
    if ceiling is not None and ceiling.per_request is not None:
        price = target.price_on(at.date().isoformat())
        output = facts.max_output_tokens
        if output is None:
            output = min(ASSUMED_OUTPUT_TOKENS, target.max_output_tokens)
        if price is not None and estimate_usd(price, facts.input_tokens, output) > ceiling.per_request:
            return PER_REQUEST
    return None
