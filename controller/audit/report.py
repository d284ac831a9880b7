"""An audit as people and programs read it. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from controller.audit.audit import Audit, Concentration, Outside, UseCaseFinding
from controller.audit.services import Service
from controller.audit.verdicts import WORDS
from controller.cli.table import render

CENT: Final = Decimal("0.01")
MOST_PLACES: Final = 5
"""Places shown of one service; the JSON form has them all."""
HEAD: Final = ("use case or service", "verdict", "models", "calls", "spend USD")


def as_json(audit: Audit) -> dict[str, Any]:
    return {
        "company": {"verdict": audit.company},
        "use_cases": [_use_case(finding) for finding in audit.use_cases],
        "concentration": [_concentration(one) for one in audit.concentration],
        "outside": [_outside(one) for one in audit.outside],
        "services": [_service(service) for service in audit.services],
    }


def as_text(audit: Audit) -> str:
    parts = [f"All together: {WORDS[audit.company]}."]
    if audit.use_cases:
        parts += [render(HEAD, use_case_rows(audit), right=frozenset({3, 4})), _whys(audit.use_cases, "  ")]
    parts += [_concentration_line(one) for one in audit.concentration]
    parts += passing_by(audit)
    return "\n\n".join(part for part in parts if part)


def as_markdown(audit: Audit) -> str:
    lines = ["# Which models are used, and how", "", f"All together: **{WORDS[audit.company]}**.", ""]
    lines += [f"| {' | '.join(HEAD)} | why |", "| --- | --- | --- | ---: | ---: | --- |"]
    for row, finding in zip(use_case_rows(audit), audit.use_cases, strict=True):
        lines.append(f"| {' | '.join(_cell(cell) for cell in (*row, finding.why))} |")
    lines += ["", "## Concentration by vendor", ""]
    lines += [f"- {_concentration_line(one)}" for one in audit.concentration] or ["Nothing is known of it."]
    lines += ["", "## Outside the gateway", ""]
    lines += [f"- {line}" for line in passing_by(audit)] or ["Nothing was found."]
    return "\n".join(lines) + "\n"


def use_case_rows(audit: Audit) -> list[list[str]]:
    return [
        [
            one.name,
            WORDS[one.verdict],
            ", ".join(one.models) or "–",
            f"{one.requests:,}" if one.requests is not None else "–",
            f"{one.usd:,.4f}" if one.usd is not None else "–",
        ]
        for one in audit.use_cases
    ]


def _whys(findings: Sequence[UseCaseFinding], indent: str) -> str:
    return "\n".join(f"{indent}{one.name}: {one.why}" for one in findings)


def _concentration_line(one: Concentration) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in one.shares.items())
    like = 1 / one.index
    return f"By {one.by}: {shares}. HHI {one.index:.2f} ({one.level}), like {like:.1f} equal vendors."


def passing_by(audit: Audit) -> list[str]:
    lines = [_outside_line(one) for one in audit.outside]
    for service in audit.services:
        if service.is_outside:
            vendors = ", ".join(service.vendors) or "a vendor it does not name"
            lines.append(f"{service.name} calls {vendors} without a gateway: {_places(service)}")
        elif service.direct:
            places = ", ".join(f"{one.file}:{one.line} ({one.text})" for one in service.direct[:MOST_PLACES])
            lines.append(f"{service.name} asks the sidecar, and has a vendor's own address too: {places}")
    return lines


def _places(service: Service) -> str:
    telling = [one for one in service.sightings if one.sign.kind in ("sdk", "url", "key")] or list(service.sightings)
    shown = ", ".join(f"{one.file}:{one.line} ({one.text})" for one in telling[:MOST_PLACES])
    more = len(telling) - MOST_PLACES
    return shown + (f" and {more} more" if more > 0 else "")


def _outside_line(one: Outside) -> str:
    if one.outside_usd is None or one.booked_usd is None:
        return f"{one.payee} billed {_usd(one.invoiced_usd)} ({one.file}); no ledger to compare with."
    of = f" ({one.outside_usd / one.invoiced_usd:.0%})" if one.invoiced_usd and one.outside_usd > 0 else ""
    if one.outside_usd < 0:
        return (
            f"{one.payee} billed {_usd(one.invoiced_usd)} ({one.file}), and the ledger has {_usd(one.booked_usd)} of "
            f"the same days: {_usd(-one.outside_usd)} more than was billed. Are prices right, and is the invoice whole?"
        )
    return (
        f"{one.payee} billed {_usd(one.invoiced_usd)} ({one.file}), and the ledger has {_usd(one.booked_usd)} of the "
        f"same days: {_usd(one.outside_usd)}{of} passed outside."
    )


def _usd(amount: Decimal) -> str:
    return f"${amount.quantize(CENT):,}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _use_case(one: UseCaseFinding) -> dict[str, Any]:
    return {
        "name": one.name, "verdict": one.verdict, "basis": one.basis, "why": one.why, "models": list(one.models),
        "vendors": list(one.vendors), "requests": one.requests,
        "cost_usd": None if one.usd is None else str(one.usd), "services": list(one.services),
    }  # fmt: skip


def _concentration(one: Concentration) -> dict[str, Any]:
    return {
        "by": one.by, "hhi": float(one.index), "effective_vendors": float(1 / one.index), "level": one.level,
        "shares": {name: float(share) for name, share in one.shares.items()},
    }  # fmt: skip


def _outside(one: Outside) -> dict[str, Any]:
    booked, outside = one.booked_usd, one.outside_usd
    return {
        "payee": one.payee, "file": one.file, "invoiced_usd": str(one.invoiced_usd),
        "booked_usd": None if booked is None else str(booked), "outside_usd": None if outside is None else str(outside),
    }  # fmt: skip


def _service(one: Service) -> dict[str, Any]:
    return {
        "name": one.name, "verdict": one.verdict, "models": list(one.models), "vendors": list(one.vendors),
        "use_cases": list(one.use_cases), "through": _through(one),
        "sightings": [
            {"file": seen.file, "line": seen.line, "kind": seen.sign.kind, "vendor": seen.sign.vendor,
             "text": seen.text}
            for seen in one.sightings
        ],
    }  # fmt: skip


def _through(one: Service) -> str:
    if one.is_through_sidecar:
        return "sidecar"
    return "gateway" if one.is_through_gateway else "none"
