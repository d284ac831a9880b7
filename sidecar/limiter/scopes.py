"""The meters of one provider, model, use case or caller, and what a call has taken of them.

`take_at_once` and `closed` are for a sidecar that counts alone: one look at every meter, and nobody is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from schemas.bundle import Limits
from sidecar.limits.meters import RateMeter, SlotMeter
from sidecar.limits.rules import Kind, LimitRule
from sidecar.ports import LimitObserver


class Need(msgspec.Struct, frozen=True, gc=False):
    meter: RateMeter
    amount: int


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What was taken of a rate, and from which side, so that it can be corrected there."""

    meter: RateMeter
    amount: int
    leased: bool


@dataclass(slots=True)
class Meters:
    """Of one scope."""

    limits: Limits
    rates: dict[Kind, RateMeter]
    places: SlotMeter | None

    def needs(self, tokens: int) -> list[Need]:
        return [Need(meter, tokens if meter.counts_tokens else 1) for meter in self.rates.values()]


@dataclass(slots=True)
class Taken:
    """By a call, or by its present attempt."""

    charges: list[Charge] = field(default_factory=list)
    places: list[SlotMeter] = field(default_factory=list)


def take_at_once(
    scopes: Sequence[Meters], tokens: int, sidecars: int, now: float, observer: LimitObserver
) -> Taken | None:
    """What a call of so many tokens needs, where every rule lets it through: nearly always. None: nothing is taken.

    Args:
        sidecars: that share the limits.
    """
    for scope in scopes:
        for meter in scope.rates.values():
            amount = tokens if meter.counts_tokens else 1
            if amount > meter.rule.limit or meter.alone(sidecars, now).wait(amount, now):
                return None
    taken = Taken()
    for scope in scopes:
        places = scope.places
        if places is not None:
            if not places.slots.enter_at_once(places.alone(sidecars)):
                for entered in taken.places:
                    entered.slots.leave(0)  # nobody waits for it: it was free
                return None
            taken.places.append(places)
    for scope in scopes:
        if scope.places is not None:
            observer.limited(scope.places.rule.id, "allowed")
        for meter in scope.rates.values():
            amount = tokens if meter.counts_tokens else 1
            meter.alone(sidecars, now).take(amount, now)
            taken.charges.append(Charge(meter, amount, False))
            observer.limited(meter.rule.id, "allowed")
    return taken


def closed(scope: Meters, tokens: int, sidecars: int, now: float) -> LimitRule | None:
    """The rule that would refuse a call of so many tokens now, or None."""
    for meter in scope.rates.values():
        rule, amount = meter.rule, tokens if meter.counts_tokens else 1
        if rule.is_enforced and (amount > rule.limit or meter.alone(sidecars, now).wait(amount, now)):
            return rule
    places = scope.places
    if places is not None and places.rule.is_enforced and places.slots.in_use >= places.alone(sidecars):
        return places.rule
    return None
