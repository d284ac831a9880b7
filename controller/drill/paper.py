"""An outage on paper: what the rules say with a vendor's or provider's targets down, and recorded calls then. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from controller.plan.expect import Record, record_of
from controller.plan.replay import Flow, Money, Replay
from controller.ruletests import DOWN
from schemas.bundle import Bundle
from sidecar.routing.facts import Facts
from sidecar.routing.plan import NOTHING_SPENT, plan
from sidecar.routing.snapshot import Snapshot, UseCase

Verdict: TypeAlias = Literal["untouched", "survives", "degraded", "stops"]
PLAIN_CALL: Final = Facts(input_tokens=1000)
"""What the rules are asked about where no call was recorded."""
EVIDENCE_DAYS: Final = 90
"""So long a drill says something; then rules, models and traffic are others."""


class NobodyIsDown(ValueError):
    """The rules have nothing of that name; the text says what they have."""


@dataclass(frozen=True, slots=True)
class UseCaseOutcome:
    use_case: str
    kind: str
    """Its class."""
    verdict: Verdict
    instead: tuple[str, ...]
    """Models that answer, first choice first, as targets `model@provider`."""
    why: str = ""
    """Of `stops`: what a call is told."""
    calls: int | None = None
    """Recorded ones; None: no records were given."""
    hit: int = 0
    """Of those, calls that would have gone to who is down."""
    refused: int = 0
    """Of the hit ones."""
    before_usd: Decimal = Decimal(0)
    after_usd: Decimal = Decimal(0)
    """Of the hit calls whose cost is known under both."""
    records: Mapping[str, Record | None] = field(default_factory=dict)
    """How each model that answers instead did so far; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class Drill:
    down: Mapping[str, str]
    use_cases: tuple[UseCaseOutcome, ...]

    @property
    def stops(self) -> tuple[UseCaseOutcome, ...]:
        return tuple(one for one in self.use_cases if one.verdict == "stops" or one.refused)


def down_of(bundle: Bundle, vendors: Iterable[str], providers: Iterable[str]) -> dict[str, str]:
    """What a plan takes for resting: every model of the vendors, wherever it is served, and the providers.

    Raises:
        NobodyIsDown: an unknown name.
    """
    down: dict[str, str] = {}
    known = sorted({model.vendor for model in bundle.models.values()})
    for vendor in vendors:
        models = [name for name, model in bundle.models.items() if model.vendor == vendor]
        if not models:
            raise NobodyIsDown(f'no model of the vendor "{vendor}"; the rules have {", ".join(known) or "none"}')
        down |= dict.fromkeys(models, DOWN)
    for provider in providers:
        if provider not in bundle.providers:
            raise NobodyIsDown(f'unknown provider "{provider}"; the rules have {", ".join(sorted(bundle.providers))}')
        down[provider] = DOWN
    return down


def rehearse(bundle: Bundle, snapshot: Snapshot, down: Mapping[str, str], replay: Replay | None, at: datetime) -> Drill:
    """`replay`: recorded calls with everything healthy before, and the same rules with `down` after."""
    by_use_case = replay.by_use_case() if replay is not None else {}
    outcomes = [
        _outcome(name, bundle.use_cases[name].kind, use_case, down, at, replay, by_use_case.get(name, {}))
        for name, use_case in sorted(snapshot.use_cases.items())
    ]
    return Drill(down, tuple(outcomes))


def _outcome(
    name: str, kind: str, use_case: UseCase, down: Mapping[str, str], at: datetime, replay: Replay | None,
    flows: Mapping[Flow, Money],
) -> UseCaseOutcome:  # fmt: skip
    healthy = plan(use_case, PLAIN_CALL, resting={}, spend=NOTHING_SPENT, at=at)
    made = plan(use_case, PLAIN_CALL, resting=down, spend=NOTHING_SPENT, at=at)
    instead = tuple(f"{step.target.model}@{step.target.provider}" for step in made.steps)
    is_hit = [step.target.key for step in made.steps] != [step.target.key for step in healthy.steps]
    # What was refused before the outage is none of its doing.
    moved = {flow: money for flow, money in flows.items() if flow.before != flow.after and flow.before.model}
    refused = sum(money.calls for flow, money in moved.items() if flow.after.refusal)
    hit = sum(money.calls for money in moved.values())
    models = {flow.after.model for flow in moved if flow.after.model}
    skipped = sorted({f"{skip.model}@{skip.provider}: {skip.reason}" for skip in made.skipped})
    return UseCaseOutcome(
        name, kind, _verdict(healthy.steps, made.steps, is_hit=is_hit or bool(hit), refused=refused, hit=hit), instead,
        why="" if made.steps else ", ".join(skipped),
        calls=None if replay is None else sum(money.calls for money in flows.values()),
        hit=hit, refused=refused,
        before_usd=sum((money.before_usd for money in moved.values()), Decimal(0)),
        after_usd=sum((money.after_usd for money in moved.values()), Decimal(0)),
        records={} if replay is None else {model: record_of(replay, name, model) for model in sorted(models)},
    )  # fmt: skip


def _verdict(healthy: Sequence[object], steps: Sequence[object], *, is_hit: bool, refused: int, hit: int) -> Verdict:
    if not is_hit:
        return "untouched"
    if (healthy and not steps) or (hit and refused == hit):
        return "stops"
    return "degraded" if refused else "survives"
