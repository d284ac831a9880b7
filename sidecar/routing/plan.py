"""The plan of one call: targets in order, each with its reason, and every target that was skipped with its own.

A pure function of facts, snapshot, health and spend. It calls nobody, so it can be asked for an explanation, run over
rule tests, and replayed over recorded calls.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from schemas.bundle import SERVED_DIALECTS, DialectName
from schemas.record import Usage
from sidecar.accounting.pricing import Tariff, cost_of
from sidecar.errors import NotAllowed, UnknownTarget
from sidecar.routing.facts import Facts
from sidecar.routing.lots import Drawn, draw
from sidecar.routing.snapshot import Arm, Ceiling, Chain, Skipped, Snapshot, Target, UseCase, data_bar

ASSUMED_OUTPUT_TOKENS = 1024
"""For the estimate of a call that names no maximum: about a long page of text."""


class Planned(Struct, frozen=True, gc=False):
    target: Target
    reason: str
    """`primary`, `fallback`, `rules[0]`, `canary`, `split`, `sticky`, `cost_ceiling.per_day`, `pinned`, `state_owner`,
    `quality_escalation.json_valid`, `quality_bar.rolling`.
    """


class Plan(Struct, frozen=True, gc=False):
    use_case: UseCase
    steps: tuple[Planned, ...]
    skipped: tuple[Skipped, ...]
    refusal: str | None = None
    """A ceiling that is hard, or whose `then` is `reject`: the call must be refused with this reason."""
    conversation: str = ""
    """Its key, where the use case looks at conversations."""
    arm: str = ""
    """Where a lot was drawn: the model that it fell to; the first of the chain for the chain itself."""
    propensity: float | None = None
    """How likely the lot was to fall there."""
    steering: str = ""
    """Why the canary has its share in that draw, or none at all, where a controller decided that."""
    better: tuple[Target, ...] = ()
    """Where the use case has a quality bar: who may be asked once more when the answer is below it, in order."""


class Spend(Struct, frozen=True, gc=False):
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
    answered_by: str | None = None,
    fallen: Collection[str] = (),
) -> Plan:
    """Order the targets for one call.

    Args:
        resting: provider, model or `model@provider` → why it is not to be tried now (`breaker_open`, `down`).
        spend: of this use case; held against its daily and monthly ceilings.
        at: when the call arrived (UTC): decides hours and prices.
        answered_by: model or `model@provider` that gave the conversation's last answer. In a sticky use case it goes
            first, if it is planned at all.
        fallen: models whose answers have become too bad for this use case's quality bar: where one of them would go
            first, the better models go before it.
    """
    made = _planned(use_case, facts, resting, spend, at)
    if use_case.bar is not None and made.steps and _spent(use_case.ceiling, spend) is None:
        better, _ = _usable(use_case.bar.then.targets, (), facts, resting, use_case.ceiling, at)
        made = replace(made, better=tuple(better))
    steps = made.steps
    if use_case.follows_conversations:
        if use_case.sticky and answered_by is not None and not _was_taken_back(use_case.chain, answered_by):
            steps = _staying(steps, answered_by)
        made = replace(made, steps=steps, conversation=facts.conversation)
    if fallen and steps and steps[0].target.model in fallen:
        made = replace(made, steps=_giving_way(steps, made.better, fallen))
    return made


ROLLING = "quality_bar.rolling"


def _giving_way(steps: tuple[Planned, ...], better: tuple[Target, ...], fallen: Collection[str]) -> tuple[Planned, ...]:
    """The better models that have not fallen themselves, then the rest as it was."""
    first = {target: Planned(target, ROLLING) for target in better if target.model not in fallen}
    return (*first.values(), *(step for step in steps if step.target not in first))


def _was_taken_back(chain: Chain, answered_by: str) -> bool:
    """A conversation does not stay with a canary that a controller took back, though it be a fallback."""
    return bool(chain.taken_back) and answered_by.partition("@")[0] == chain.taken_back


def _staying(steps: tuple[Planned, ...], answered_by: str) -> tuple[Planned, ...]:
    """Where its own choice comes first anyway, the plan keeps its reason."""
    place = next((i for i, step in enumerate(steps) if answered_by in (step.target.key, step.target.model)), 0)
    return (Planned(steps[place].target, "sticky"), *steps[:place], *steps[place + 1 :]) if place else steps


def _planned(use_case: UseCase, facts: Facts, resting: Mapping[str, str], spend: Spend, at: datetime) -> Plan:
    chain, first_reason = _chain_for(use_case, facts, at)
    ceiling = use_case.ceiling
    beyond = _beyond(ceiling, spend)
    spent = beyond or _spent(ceiling, spend)
    if ceiling is not None and spent is not None:
        skipped = [*chain.barred, *(Skipped(target.model, target.provider, spent) for target in chain.targets)]
        if beyond or ceiling.then is None:
            return Plan(use_case, (), tuple(skipped), refusal=spent)
        steps, more = _usable(ceiling.then.targets, ceiling.then.barred, facts, resting, None, at)
        return _finished(use_case, [Planned(target, spent) for target in steps], [*skipped, *more])
    drawn, closed = _drawn(use_case, chain, facts, resting, at) if chain.arms else (None, [])
    if drawn is not None and drawn.arm is not None:
        chain, first_reason = chain.led_by(drawn.arm), drawn.reason
    steps, skipped = _usable(chain.targets, chain.barred, facts, resting, ceiling, at)
    planned = [Planned(target, first_reason if target is chain.targets[0] else "fallback") for target in steps]
    if skipped and ceiling is not None and any(item.reason == PER_REQUEST for item in skipped):
        if ceiling.then is None and not planned:
            return Plan(use_case, (), tuple(skipped), refusal=PER_REQUEST)
        if ceiling.then is not None:
            cheaper, more = _usable(ceiling.then.targets, ceiling.then.barred, facts, resting, ceiling, at)
            chosen = {item.target for item in planned}
            planned += [Planned(target, PER_REQUEST) for target in cheaper if target not in chosen]
            skipped = [*skipped, *more]
    made = _finished(use_case, planned, [*skipped, *closed])
    if drawn is None:
        return replace(made, steering=chain.steering) if chain.steering and chain.canary is None else made
    first = chain.targets[0] if chain.targets else chain.barred[0]
    return replace(made, arm=first.model, propensity=drawn.propensity, steering=drawn.steering)


def _finished(use_case: UseCase, planned: list[Planned], skipped: list[Skipped]) -> Plan:
    """A target that stands in two chains is planned, or skipped once with the first reason: never both."""
    if not skipped:
        return Plan(use_case, tuple(planned), ())
    taken = {(step.target.model, step.target.provider) for step in planned}
    first: dict[tuple[str, str], Skipped] = {}
    for item in skipped:
        if (item.model, item.provider) not in taken:
            first.setdefault((item.model, item.provider), item)
    return Plan(use_case, tuple(planned), tuple(first.values()))


CONTEXT_WINDOW = "context_window"


def is_outgrown(target: Target, too_long_for: Iterable[Target]) -> bool:
    """Whether a context that was too long for those is so for this one: a window no larger than theirs does not hold
    it, whatever we estimated."""
    return any(target.context_window <= other.context_window for other in too_long_for)


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


def plan_last_resort(snapshot: Snapshot, made: Plan, key: str) -> Plan:
    """A plan that has come to nothing, with one of its skipped targets after all."""
    doors = snapshot.targets[key.rpartition("@")[0]]
    target = next(door for door in doors if door.key == key)
    skipped = tuple(item for item in made.skipped if f"{item.model}@{item.provider}" != key)
    return replace(made, steps=(Planned(target, "last_resort"),), skipped=skipped)


PER_REQUEST = "cost_ceiling.per_request"


def estimate_usd(price: Tariff, input_tokens: int, output_tokens: int) -> Decimal:
    """What a call would cost without any help from the provider's cache, at the prices for its length."""
    usd = cost_of(Usage(input_tokens, output_tokens), price)
    assert usd is not None  # the standard tier has a price in every row
    return usd


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


def _drawn(
    use_case: UseCase, chain: Chain, facts: Facts, resting: Mapping[str, str], at: datetime
) -> tuple[Drawn | None, list[Skipped]]:
    """The lot, None where there is nothing to draw or nobody to draw for; and the targets of arms that cannot take this
    call: no lot falls to those, and their share stays with the chain."""
    open_arms: list[Arm] = []
    closed: list[Skipped] = []
    for arm in chain.arms:
        usable, skipped = _usable(arm.targets, (), facts, resting, use_case.ceiling, at)
        if usable:
            open_arms.append(arm)
        else:
            closed += skipped
    if not (open_arms and facts.conversation):
        return None, closed
    return draw(use_case.name, chain, facts.conversation, open_arms), closed


def _usable(
    targets: Iterable[Target],
    barred: Iterable[Skipped],
    facts: Facts,
    resting: Mapping[str, str],
    ceiling: Ceiling | None,
    at: datetime,
) -> tuple[list[Target], list[Skipped]]:
    usable: list[Target] = []
    skipped = list(barred)
    for target in targets:
        reason = why_not(target, facts, resting, ceiling, at)
        if reason is None:
            usable.append(target)
        else:
            skipped.append(Skipped(target.model, target.provider, reason))
    return usable, skipped


def why_not(
    target: Target, facts: Facts, resting: Mapping[str, str], ceiling: Ceiling | None, at: datetime
) -> str | None:
    """Why this target cannot take this call now, or None."""
    if not facts.needs <= target.capabilities:
        return f"capability.{min(facts.needs - target.capabilities)}"
    if facts.input_tokens > target.context_window:
        return CONTEXT_WINDOW
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
