"""All that was found, put together: per use case a verdict, over all the concentration, and what passes us by. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from controller.audit.booked import Booked, amounts_by, billed_alike, routed_share
from controller.audit.invoices import Invoice
from controller.audit.rules import KnownRules, KnownUseCase
from controller.audit.services import Service
from controller.audit.verdicts import Verdict, by_rules, by_use
from controller.concentration import hhi, level_of, shares_of


@dataclass(frozen=True, slots=True)
class UseCaseFinding:
    """A use case of the rules or the ledger, or a service that has none."""

    name: str
    verdict: Verdict
    basis: str
    """What the verdict rests on: `ledger`, `rules` or `code`."""
    why: str
    models: tuple[str, ...]
    """Dearest first where the ledger knows, else in the order of the rules or by name."""
    vendors: tuple[str, ...]
    requests: int | None = None
    """None: there is no ledger."""
    usd: Decimal | None = None
    services: tuple[str, ...] = ()
    """Who asks for it, by the code."""


@dataclass(frozen=True, slots=True)
class Concentration:
    by: str
    """`spend`, `requests`, `invoices` or `services`."""
    shares: Mapping[str, Decimal]

    @property
    def index(self) -> Decimal:
        return hhi(self.shares.values())

    @property
    def level(self) -> str:
        return level_of(self.index)


@dataclass(frozen=True, slots=True)
class Outside:
    """An invoice beside what the ledger has of the same provider over the same days."""

    payee: str
    file: str
    invoiced_usd: Decimal
    booked_usd: Decimal | None
    """None: there is no ledger to compare with."""

    @property
    def outside_usd(self) -> Decimal | None:
        """What was paid for and not seen; less than zero where the ledger holds more than the invoice."""
        return None if self.booked_usd is None else self.invoiced_usd - self.booked_usd


@dataclass(frozen=True, slots=True)
class Audit:
    use_cases: tuple[UseCaseFinding, ...]
    company: Verdict
    concentration: tuple[Concentration, ...]
    outside: tuple[Outside, ...]
    services: tuple[Service, ...]


def audit(
    rules: KnownRules, services: Sequence[Service], booked: Sequence[Booked] | None, invoices: Sequence[Invoice]
) -> Audit:
    """`booked` is None without a ledger; an empty one says that nothing was called."""
    findings = [*_of_use_cases(rules, services, booked), *_of_services(rules, services)]
    outside = [_beside(invoice, booked) for invoice in invoices]
    return Audit(
        tuple(findings),
        _of_company(findings, booked),
        tuple(_concentrations(services, booked, invoices)),
        tuple(outside),
        tuple(services),
    )


def _beside(invoice: Invoice, booked: Sequence[Booked] | None) -> Outside:
    rows = None if booked is None else billed_alike(booked, invoice.payee, invoice.days)
    ours = None if rows is None else sum((row.usd for row in rows), Decimal(0))
    return Outside(invoice.payee, invoice.file, invoice.usd, ours)


def _of_use_cases(
    rules: KnownRules, services: Sequence[Service], booked: Sequence[Booked] | None
) -> list[UseCaseFinding]:
    callers: dict[str, list[str]] = {}
    for service in services:
        for name in service.use_cases:
            callers.setdefault(rules.names.get(name, name), []).append(service.name)
    seen = {row.use_case for row in booked or () if row.use_case}
    findings = []
    for name in sorted(seen | rules.use_cases.keys() | callers.keys()):
        rows = [row for row in booked or () if row.use_case == name]
        asked_by = tuple(sorted(set(callers.get(name, ()))))
        known = rules.use_cases.get(name)
        findings.append(_by_ledger(name, rows, known, asked_by) if rows else _by_rules(name, known, asked_by, booked))
    return findings


def _by_ledger(
    name: str, rows: Sequence[Booked], known: KnownUseCase | None, asked_by: tuple[str, ...]
) -> UseCaseFinding:
    by_cost = any(row.usd for row in rows)
    models = shares_of(amounts_by(rows, "model", by_cost=by_cost))
    routed = routed_share(rows)
    verdict = by_use(models, routed=routed, eligible=len(known.models) if known else None)
    parts = ", ".join(f"{model} {share:.0%}" for model, share in models.items())
    why = f"{parts} of the {'spend' if by_cost else 'calls'}"
    if known:
        why += f"; its rules let {_models(len(known.models))} answer"
    if routed is not None:
        why += f"; {routed:.0%} of the calls followed a rule"
    why += _asked_by(asked_by)
    return UseCaseFinding(
        name, verdict, "ledger", why, tuple(models), tuple(shares_of(amounts_by(rows, "vendor", by_cost=by_cost))),
        sum(row.requests for row in rows), sum((row.usd for row in rows), Decimal(0)), asked_by,
    )  # fmt: skip


def _by_rules(
    name: str, known: KnownUseCase | None, asked_by: tuple[str, ...], booked: Sequence[Booked] | None
) -> UseCaseFinding:
    calls, usd = (None, None) if booked is None else (0, Decimal(0))
    if known is None:
        why = f"no rules that were read know it; name them by --rules{_asked_by(asked_by)}"
        return UseCaseFinding(name, "unknown", "code", why, (), (), calls, usd, asked_by)
    why = f"its rules let {_models(len(known.models))} answer" + ("; no call is booked" if booked is not None else "")
    why += _asked_by(asked_by)
    return UseCaseFinding(
        name, by_rules(len(known.models)), "rules", why, known.models, known.vendors, calls, usd, asked_by
    )


def _of_services(rules: KnownRules, services: Sequence[Service]) -> list[UseCaseFinding]:
    """Services that name no use case: those that call vendors by themselves, or ask a sidecar we cannot follow."""
    findings = []
    for service in services:
        if service.use_cases:
            continue
        verdict, why = service.verdict, _said_of(service)
        if service.is_through_sidecar and not service.models:
            verdict, why = "unknown", "it asks a sidecar, and names no use case in its code: its key or the sidecar may"
        findings.append(UseCaseFinding(service.name, verdict, "code", why, service.models, service.vendors))
    return findings


def _said_of(service: Service) -> str:
    parts = [f"its code names {_models(len(service.models))}"]
    routing = next((one for one in service.sightings if one.sign.kind == "routing"), None)
    if routing:
        parts.append(f"routing at {routing.file}:{routing.line}")
    if service.is_outside:
        parts.append("without a gateway")
    return "; ".join(parts)


def _asked_by(services: Sequence[str]) -> str:
    return f"; asked for by {', '.join(services)}" if services else ""


def _models(count: int) -> str:
    return f"{count} model{'' if count == 1 else 's'}"


def _of_company(findings: Sequence[UseCaseFinding], booked: Sequence[Booked] | None) -> Verdict:
    """By the ledger where there is one; else what holds of the use cases together."""
    judged = [finding for finding in findings if finding.verdict not in ("unknown", "unused")]
    routes = any(finding.verdict == "multi-model-with-routing" for finding in judged)
    if booked:
        by_cost = any(row.usd for row in booked)
        verdict = by_use(
            shares_of(amounts_by(booked, "model", by_cost=by_cost)), routed=routed_share(booked), eligible=None
        )
        if verdict == "multi-model-with-routing" and not routes:
            return "multi-model-without-routing"
        return verdict
    if not judged:
        return "unknown"
    if all(finding.verdict == "multi-model-with-routing" for finding in judged):
        return "multi-model-with-routing"
    return (
        "multi-model-without-routing" if len({m for finding in judged for m in finding.models}) > 1 else "single-model"
    )


def _concentrations(
    services: Sequence[Service], booked: Sequence[Booked] | None, invoices: Sequence[Invoice]
) -> list[Concentration]:
    """Only over what is known: shares of nothing are not shown."""
    found = []
    if booked:
        found += [
            Concentration("spend", shares_of(amounts_by(booked, "vendor", by_cost=True))),
            Concentration("requests", shares_of(amounts_by(booked, "vendor", by_cost=False))),
        ]
    billed: dict[str, Decimal] = {}
    for invoice in invoices:
        billed[invoice.payee] = billed.get(invoice.payee, Decimal(0)) + invoice.usd
    found.append(Concentration("invoices", shares_of(billed)))
    named: dict[str, Decimal] = {}
    for service in services:
        for vendor in service.vendors:
            named[vendor] = named.get(vendor, Decimal(0)) + Decimal(1) / len(service.vendors)
    found.append(Concentration("services", shares_of(named)))
    return [one for one in found if one.shares]
