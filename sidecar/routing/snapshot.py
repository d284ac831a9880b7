"""A bundle made ready to run: names resolved, patterns compiled, every target known. Built once, then frozen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from schemas.bundle import (
    SERVED_DIALECTS,
    Bundle,
    BundleRefused,
    Caller,
    Capability,
    DialectName,
    Price,
    Provider,
    Requirements,
    Retry,
    Timeouts,
)
from schemas.bundle import UseCase as UseCaseDocument
from sidecar.canonical.model import ModelTraits
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
    prices: tuple[Price, ...]
    """Newest first."""
    key: str
    """`model@provider`: stable over reloads; breakers and estimators live under it."""

    def price_on(self, day: str) -> Price | None:
        """The price in force on an ISO day; None when none is known."""
        for price in self.prices:
            if price.since <= day:
                return price
        return None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A target that was not tried, and why."""

    model: str
    provider: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Targets in order, and those that can never serve this use case."""

    targets: tuple[Target, ...]
    barred: tuple[Skipped, ...]


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


@dataclass(frozen=True, slots=True)
class UseCase:
    name: str
    owner: str
    chain: Chain
    rules: tuple[Rule, ...]
    ceiling: Ceiling | None
    requires: Requirements
    timeouts: Timeouts
    retry: Retry
    headers_watched: frozenset[str]
    """Header names that some rule looks at."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    digest: str
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
    """SHA-256 hex of a key → caller. Empty: callers need no key."""


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
        digest=digest,
        revision=bundle.revision,
        use_cases=use_cases,
        aliases=exact,
        alias_globs=globs,
        targets=targets,
        vendors={model: entry.vendor for model, entry in bundle.models.items()},
        callers={caller.key_sha256: caller for caller in bundle.callers},
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
        prices=served.prices,
        key=f"{model}@{served.provider}",
    )


def _use_case(name: str, document: UseCaseDocument, targets: Mapping[str, tuple[Target, ...]]) -> UseCase:
    def chain(models: tuple[str, ...]) -> Chain:
        return _chain([target for model in models for target in targets[model]], document)

    ceiling = document.ceiling
    return UseCase(
        name=name,
        owner=document.owner,
        chain=chain(document.chain),
        rules=tuple(Rule(compile_when(rule.when), chain(rule.chain)) for rule in document.rules),
        ceiling=None
        if ceiling is None
        else Ceiling(
            per_request=ceiling.per_request,
            per_day=ceiling.per_day,
            per_month=ceiling.per_month,
            then=chain(ceiling.then) if ceiling.then else None,
        ),
        requires=document.requires,
        timeouts=document.timeouts,
        retry=document.retry,
        headers_watched=frozenset(header.lower() for rule in document.rules for header in rule.when.header),
    )


def _chain(candidates: list[Target], document: UseCaseDocument) -> Chain:
    fit: list[Target] = []
    barred: list[Skipped] = []
    for target in dict.fromkeys(candidates):
        reason = _bar(target, document)
        if reason is None:
            fit.append(target)
        else:
            barred.append(Skipped(target.model, target.provider, reason))
    return Chain(tuple(fit), tuple(barred))


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
