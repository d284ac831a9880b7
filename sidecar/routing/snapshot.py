"""A bundle made ready to run: names resolved, patterns compiled, every target known. Built once, then frozen."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from schemas.bundle import (
    SERVED_DIALECTS,
    Bundle,
    BundleRefused,
    Caller,
    Capability,
    DialectName,
    HardCeiling,
    Hedge,
    Limits,
    Provider,
    QualityBar,
    QualityCheck,
    Requirements,
    Retry,
    Share,
    SlowStream,
    Timeouts,
    WhenAway,
)
from schemas.bundle import Shadow as ShadowDocument
from schemas.bundle import UseCase as UseCaseDocument
from schemas.record import Usage
from sidecar.accounting.pricing import Tariff, cost_of, tariff_of
from sidecar.canonical.model import ModelTraits
from sidecar.routing.fallback import Step
from sidecar.routing.matching import Condition, compile_when, glob


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One model at one provider: what an attempt calls."""

    model: str
    provider: str
    name: str
    """What the provider calls the model."""
    vendor: str
    dialect: DialectName
    endpoint: Provider
    capabilities: frozenset[Capability]
    context_window: int
    max_output_tokens: int
    traits: ModelTraits
    """What a request that is translated must heed."""
    tariffs: tuple[Tariff, ...]
    """Prices by day, newest first."""
    limits: Limits | None
    """Of the model, at all of its providers together; the provider's own stand at `endpoint`."""
    key: str
    """`model@provider`: stable over reloads; breakers and estimators live under it."""

    @property
    def is_limited(self) -> bool:
        """Its provider or its model has a limit."""
        return self.limits is not None or self.endpoint.limits is not None

    def price_on(self, day: str) -> Tariff | None:
        """The price in force on an ISO day; None when none is known."""
        for tariff in self.tariffs:
            if tariff.since <= day:
                return tariff
        return None

    def cost_on(self, day: str, usage: Usage) -> Decimal | None:
        """What an answer costs here on an ISO day; None when a price is unknown."""
        return cost_of(usage, self.price_on(day))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A target that was not tried, and why."""

    model: str
    provider: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A model that answers a part of a chain's conversations, and the chain only after it."""

    model: str
    targets: tuple[Target, ...]
    """Its doors that can serve this use case."""
    probability: Decimal


@dataclass(frozen=True, slots=True)
class Chain:
    """Targets in order, and those that can never serve this use case."""

    targets: tuple[Target, ...]
    barred: tuple[Skipped, ...]
    canary: Arm | None = None
    split: tuple[Arm, ...] = ()
    steering: str = ""
    """Why the canary has its share, or is no more, where a controller decided that."""
    taken_back: str = ""
    """The model of a canary that is no more by that."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Who may be asked first by lot."""
        return self.split if self.canary is None else (self.canary, *self.split)

    def led_by(self, arm: Arm) -> "Chain":
        """The arm's doors first, then the chain."""
        return replace(self, targets=tuple(dict.fromkeys((*arm.targets, *self.targets))))


@dataclass(frozen=True, slots=True)
class Rule:
    holds: Condition
    chain: Chain


@dataclass(frozen=True, slots=True)
class Ceiling:
    per_request: Decimal | None
    per_day: Decimal | None
    per_month: Decimal | None
    then: Chain | None
    """None: refuse."""
    hard: HardCeiling
    on_store_error: WhenAway
    """Of the amounts that refuse."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What every plain answer is held to."""

    checks: tuple[QualityCheck, ...]
    then: Chain
    """Better models; empty: an answer that fails is handed over all the same, unless the bar rejects."""
    reject: bool
    min_score: Decimal | None
    """Of each model's answers over time, by their checks and by each kind of feedback; None: they are not counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """A model that is asked too, once a call is answered; nobody gets its answer."""

    model: str
    targets: tuple[Target, ...]
    """Its doors that may have this use case's data, and can do what it requires."""
    barred: tuple[Skipped, ...]
    probability: Decimal
    per_day: Decimal
    """US dollars, over the fleet."""
    concurrency: int
    no_agents: tuple[re.Pattern[str], ...]
    no_callers: tuple[re.Pattern[str], ...]

    def spares(self, agent: str, caller: str) -> bool:
        """Whether the calls of these stay out."""
        return any(pattern.match(agent) for pattern in self.no_agents) or any(
            pattern.match(caller) for pattern in self.no_callers
        )


@dataclass(frozen=True, slots=True)
class UseCase:
    name: str
    owner: str
    chain: Chain
    rules: tuple[Rule, ...]
    ceiling: Ceiling | None
    bar: Bar | None
    shadow: Shadow | None
    sticky: bool
    after_refusal: Step
    """What follows when a provider refuses the content."""
    requires: Requirements
    timeouts: Timeouts
    retry: Retry
    hedge: Hedge | None
    slow_stream: SlowStream | None
    resume: bool
    limits: Limits | None
    headers_watched: frozenset[str]
    """Header names that some rule looks at."""
    metadata_watched: frozenset[str]
    limited_targets: tuple[Target, ...]
    """Targets of any of its chains whose provider or model has a limit."""
    follows_conversations: bool
    """It matters which conversation a call belongs to."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    digest: str
    """Of the whole bundle, where the sidecar runs a part of it."""
    revision: str
    use_cases: Mapping[str, UseCase]
    aliases: Mapping[str, str]
    """Exact alias → use case."""
    alias_globs: tuple[tuple[re.Pattern[str], str], ...]
    targets: Mapping[str, tuple[Target, ...]]
    """Model → its doors, in order of preference."""
    vendors: Mapping[str, str]
    """Model → vendor."""
    callers: Mapping[str, Caller]
    """SHA-256 hex of a key → caller."""
    needs_key: bool
    """Nobody is served without a caller's key."""


def build_snapshot(bundle: Bundle, digest: str = "") -> Snapshot:
    """Compile a decoded bundle.

    Raises:
        BundleRefused: a time zone, a time of day or a pattern that cannot be compiled.
    """
    targets = {
        model: tuple(_target(bundle, model, door) for door in range(len(entry.served_by)))
        for model, entry in bundle.models.items()
    }
    try:
        use_cases = {name: _use_case(name, document, targets) for name, document in bundle.use_cases.items()}
        exact, globs = _aliases(bundle)
    except (ValueError, KeyError, OSError, re.error) as error:
        raise BundleRefused(f"rules cannot be compiled: {error}") from error
    return Snapshot(
        digest=bundle.whole or digest,
        revision=bundle.revision,
        use_cases=use_cases,
        aliases=exact,
        alias_globs=globs,
        targets=targets,
        vendors={model: entry.vendor for model, entry in bundle.models.items()},
        callers={caller.key_sha256: caller for caller in bundle.callers},
        needs_key=bool(bundle.callers) or bundle.keys_required,
    )


def _target(bundle: Bundle, model: str, door: int) -> Target:
    entry = bundle.models[model]
    served = entry.served_by[door]
    provider = bundle.providers[served.provider]
    return Target(
        model=model,
        provider=served.provider,
        name=served.name,
        vendor=entry.vendor,
        dialect=provider.dialect,
        endpoint=provider,
        capabilities=frozenset(entry.capabilities),
        context_window=entry.context_window,
        max_output_tokens=entry.max_output_tokens,
        traits=ModelTraits(
            name=served.name,
            max_output_tokens=entry.max_output_tokens,
            refuses=frozenset(entry.refuses),
            efforts=entry.efforts,
            server_tools=frozenset(entry.server_tools),
        ),
        tariffs=tuple(tariff_of(price) for price in served.prices),
        limits=entry.limits,
        key=f"{model}@{served.provider}",
    )


def _use_case(name: str, document: UseCaseDocument, targets: Mapping[str, tuple[Target, ...]]) -> UseCase:
    def chain(models: tuple[str, ...], split: tuple[Share, ...] = (), canary: Share | None = None) -> Chain:
        return _chain(models, split, canary, document, targets)

    ceiling = document.ceiling
    main = chain(document.chain, document.split, document.canary)
    rules = tuple(Rule(compile_when(rule.when), chain(rule.chain, rule.split)) for rule in document.rules)
    cheaper = chain(ceiling.then) if ceiling is not None and ceiling.then else None
    bar = None if document.bar is None else _bar_of(document.bar, chain(document.bar.then))
    ways_out = [made for made in (cheaper, None if bar is None else bar.then) if made is not None]
    return UseCase(
        name=name,
        owner=document.owner,
        chain=main,
        rules=rules,
        ceiling=None
        if ceiling is None
        else Ceiling(
            per_request=ceiling.per_request,
            per_day=ceiling.per_day,
            per_month=ceiling.per_month,
            then=cheaper,
            hard=ceiling.hard,
            on_store_error=ceiling.on_store_error,
        ),
        bar=bar,
        shadow=None if document.shadow is None else _shadow(document.shadow, chain((document.shadow.model,))),
        sticky=document.sticky,
        after_refusal=Step.NEXT_TARGET if document.on_refusal == "fallback" else Step.STOP,
        requires=document.requires,
        timeouts=document.timeouts,
        retry=document.retry,
        hedge=document.hedge,
        slow_stream=document.slow_stream,
        resume=document.resume,
        limits=document.limits,
        headers_watched=frozenset(header.lower() for rule in document.rules for header in rule.when.header),
        metadata_watched=frozenset(key for rule in document.rules for key in rule.when.metadata),
        limited_targets=_limited((main, *(rule.chain for rule in rules), *ways_out)),
        follows_conversations=document.sticky or any(made.arms for made in (main, *(rule.chain for rule in rules))),
    )


def _shadow(document: ShadowDocument, doors: Chain) -> Shadow:
    return Shadow(
        model=document.model,
        targets=doors.targets,
        barred=doors.barred,
        probability=document.percent / 100,
        per_day=document.per_day,
        concurrency=document.concurrency,
        no_agents=tuple(map(glob, document.no_agents)),
        no_callers=tuple(map(glob, document.no_callers)),
    )


def _bar_of(document: QualityBar, then: Chain) -> Bar:
    return Bar(checks=document.checks, then=then, reject=document.reject, min_score=document.min_score)


def _limited(chains: Iterable[Chain]) -> tuple[Target, ...]:
    known = (
        target
        for made in chains
        for targets in (made.targets, *(arm.targets for arm in made.arms))
        for target in targets
    )
    return tuple(dict.fromkeys(target for target in known if target.is_limited))


def _chain(
    models: tuple[str, ...],
    split: tuple[Share, ...],
    canary: Share | None,
    document: UseCaseDocument,
    targets: Mapping[str, tuple[Target, ...]],
) -> Chain:
    barred: list[Skipped] = []

    def fit(candidates: Iterable[Target]) -> tuple[Target, ...]:
        reasons = {target: _bar(target, document) for target in candidates}
        barred.extend(Skipped(target.model, target.provider, reason) for target, reason in reasons.items() if reason)
        return tuple(target for target, reason in reasons.items() if reason is None)

    def arm(share: Share) -> Arm:
        return Arm(share.model, fit(targets[share.model]), share.percent / 100)

    return Chain(
        targets=fit(target for model in models for target in targets[model]),
        canary=None if canary is None else arm(canary),
        split=tuple(map(arm, split)),
        barred=tuple(dict.fromkeys(barred)),
    )


def _bar(target: Target, document: UseCaseDocument) -> str | None:
    """Why a target can never serve a use case, or None."""
    if target.dialect not in SERVED_DIALECTS:
        return "dialect"
    required = document.requires
    for capability in required.capabilities:
        if capability not in target.capabilities:
            return f"capability.{capability}"
    return data_bar(target, required)


def data_bar(target: Target, required: Requirements) -> str | None:
    """Why a use case's data must not go to a target, whoever asks, or None."""
    if required.regions and not set(required.regions) & set(target.endpoint.regions):
        return "region"
    if required.zero_retention and not target.endpoint.zero_retention:
        return "zero_retention"
    return None


def _aliases(bundle: Bundle) -> tuple[dict[str, str], tuple[tuple[re.Pattern[str], str], ...]]:
    exact: dict[str, str] = {}
    globs: list[tuple[re.Pattern[str], str]] = []
    for name, document in sorted(bundle.use_cases.items()):
        for alias in document.aliases:
            if any(mark in alias for mark in "*?["):
                globs.append((glob(alias), name))
            else:
                exact.setdefault(alias, name)
    return exact, tuple(globs)
