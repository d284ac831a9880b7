"""A plan as people read it in a pull request, and as programs do. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from controller.cli.rules_folder import amount, as_mapping
from controller.concentration import hhi, shares_of
from controller.plan.changes import Change
from controller.plan.expect import Cost, Monthly, Record, monthly_cost, record_of
from controller.plan.replay import Flow, Money, Replay
from schemas.problems import Problem

CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of a change that asks for it."""

    use_case: str
    model: str
    file: str = ""
    """Empty: there is none."""
    passes: bool = True
    """Whether it allows the change."""


@dataclass(frozen=True, slots=True)
class PlanReport:
    base: str
    changes: Sequence[Change]
    problems: Sequence[Problem]
    evidence: Sequence[Evidence]
    replay: Replay | None
    """None: no records were given."""


def as_json(plan: PlanReport) -> dict[str, Any]:
    return {
        "base": plan.base,
        "changes": [
            {
                "kind": change.kind, "name": change.name, "action": change.action, "file": change.file,
                "details": [{"field": one.field, "before": one.before, "after": one.after} for one in change.details],
            }
            for change in plan.changes
        ],
        "evidence": [
            {"use_case": one.use_case, "model": one.model, "file": one.file or None,
             "passes": bool(one.file) and one.passes}
            for one in plan.evidence
        ],
        "replay": {} if plan.replay is None else _replay_json(plan.replay),
        "problems": [as_mapping(problem) for problem in plan.problems],
    }  # fmt: skip


def as_markdown(plan: PlanReport) -> str:
    return "\n".join(_lines(plan)) + "\n"


def as_text(plan: PlanReport) -> str:
    """The same without Markdown's marks."""
    plain = (
        line.replace("**", "").replace("`", "").removeprefix("### ").removeprefix("#### ") for line in _lines(plan)
    )
    return "\n".join(plain)


def _lines(plan: PlanReport) -> list[str]:
    lines = [f"### Plan against `{plan.base}`", ""]
    errors = sum(problem.severity == "error" for problem in plan.problems)
    if errors:
        lines += [f"**{amount(errors, 'error')}, rule tests included: this would not be rolled out.**", ""]
    lines += [f"- {_change(change)}" for change in plan.changes] or ["Nothing that runs is changed."]
    lines += [f"- {_evidence(one)}" for one in plan.evidence]
    if plan.replay is None:
        lines += [
            "",
            "No records were given (`--records`, `--controller`): where traffic and money would go is not said.",
        ]
    else:
        lines += ["", *_replayed(plan.replay)]
    return lines


def _change(change: Change) -> str:
    return f"**{change.kind.replace('_', ' ')} {change.name}** {change.action}" + "".join(
        f"; {detail}" if number else f": {detail}" for number, detail in enumerate(change.details)
    )


def _evidence(one: Evidence) -> str:
    found = f"`{one.file}`" + ("" if one.passes else ", which **does not allow it**") if one.file else "**missing**"
    return f"evidence for {one.model} in {one.use_case}: {found}"


def _replayed(replay: Replay) -> list[str]:
    total = replay.total
    if not total.calls:
        return ["#### Replay", "", f"No call could be replayed.{_left_out(replay)}"]
    last = replay.last_at[:10]
    moved = sum(money.calls for flow, money in replay.flows.items() if flow.before != flow.after)
    lines = [
        f"#### Replay of {total.calls:,} calls, {replay.first_day} to {last}",
        "",
        f"**{_percent(moved, total.calls)} of the calls move.** {_cost_words(_cost(replay, None))}{_left_out(replay)}",
    ]
    affected = {name: flows for name, flows in replay.by_use_case().items() if any(f.before != f.after for f in flows)}
    for name, flows in affected.items():
        lines += ["", f"**{name}**: {_cost_words(_cost(replay, name))}", ""]
        lines += [
            "| from | to | share | calls | cost before | cost after |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
        ]
        calls = sum(money.calls for money in flows.values())
        for flow, money in sorted(flows.items(), key=lambda pair: (-pair[1].calls, str(pair[0].after))):
            if flow.before != flow.after:
                lines.append(_flow(flow, money, calls))
        lines += ["", *(f"- {line}" for line in _expectations(replay, name, flows))]
    lines += [f"- {line}" for line in _trips(replay)]
    lines += [f"- {line}" for line in _concentration(replay)]
    return lines


def _flow(flow: Flow, money: Money, calls: int) -> str:
    cells = [
        str(flow.before), str(flow.after), _percent(money.calls, calls), f"{money.calls:,}", _usd(money.before_usd),
        _usd(money.after_usd),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |" + (f" {money.unpriced:,} without a price" if money.unpriced else "")


def _expectations(replay: Replay, use_case: str, flows: Mapping[Flow, Money]) -> list[str]:
    """Of each model that gives or gets calls, once."""
    models = dict.fromkeys(
        place.model for flow in flows if flow.before != flow.after for place in (flow.before, flow.after) if place.model
    )
    return [_record_words(model, record_of(replay, use_case, model)) for model in sorted(models)]


def _record_words(model: str, record: Record | None) -> str:
    if record is None:
        return f"{model}: how fast and how often it fails is not known from these records"
    where = "in this use case" if record.in_this_use_case else "over all use cases"
    return (
        f"{model}: {record.error_share:.1%} of attempts failed, p50 {record.p50_seconds:.2f} s, "
        f"p95 {record.p95_seconds:.2f} s ({record.answers:,} answers {where})"
    )


def _trips(replay: Replay) -> list[str]:
    lines = []
    for (use_case, ceiling, when), trip in sorted(replay.trips.items()):
        if when == "after":
            before = replay.trips.get((use_case, ceiling, "before"))
            lines.append(
                f"{use_case}: {ceiling} has a say in {trip.calls:,} calls on {len(trip.days)} days, first at "
                f"{trip.first_at} (before: {before.calls if before else 0:,})"
            )
    gone = [key for key in sorted(replay.trips) if key[2] == "before" and (*key[:2], "after") not in replay.trips]
    return lines + [f"{use_case}: {ceiling} has no say any more" for use_case, ceiling, _ in gone]


def _concentration(replay: Replay) -> list[str]:
    before, after = (_vendor_shares(replay, side) for side in ("before", "after"))
    if not before or before == after:
        return []
    return [f"vendors by calls: {_shares(before)} → {_shares(after)}"]


def _vendor_shares(replay: Replay, side: str) -> dict[str, Decimal]:
    calls: dict[str, Decimal] = {}
    for flow, money in replay.flows.items():
        if vendor := getattr(flow, side).vendor:
            calls[vendor] = calls.get(vendor, Decimal(0)) + money.calls
    return shares_of(calls)


def _shares(shares: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{vendor} {share:.0%}" for vendor, share in shares.items()) + f" (HHI {hhi(shares.values()):.2f})"


def _left_out(replay: Replay) -> str:
    parts = []
    if replay.without_facts:
        parts.append(f"{replay.without_facts:,} calls were recorded without facts and are left out")
    if replay.out_of_order:
        parts.append(f"{replay.out_of_order:,} calls are out of order and left out")
    money = replay.total
    if money.without_usage:
        parts.append(f"of {money.without_usage:,} calls nobody knows the tokens")
    if money.unpriced:
        parts.append(f"of {money.unpriced:,} calls the cost is unknown under one of the two")
    return " " + "; ".join(parts) + "." if parts else ""


def _cost(replay: Replay, use_case: str | None) -> Cost:
    chosen: Iterable[Mapping[str, Money]]
    chosen = replay.days.values() if use_case is None else [replay.days[use_case]]
    days: dict[str, Money] = {}
    for each in chosen:
        for day, money in each.items():
            days[day] = days.get(day, Money()) + money
    return monthly_cost(days, replay.first_day, replay.last_at[:10])


def _cost_words(cost: Cost) -> str:
    interval = _interval(cost.difference) or f"no interval from {cost.days} days"
    sign = "+" if cost.difference.usd >= 0 else "−"
    return (
        f"A month costs {_usd(cost.before.usd)} before and {_usd(cost.after.usd)} after, "
        f"{sign}{_usd(abs(cost.difference.usd))} ({interval})."
    )


def _interval(monthly: Monthly) -> str:
    if monthly.low is None or monthly.high is None:
        return ""
    return f"90 % interval {_usd(monthly.low)} to {_usd(monthly.high)}"


def _usd(amount: Decimal) -> str:
    rounded = amount.quantize(CENT)
    return f"−${-rounded:,}" if rounded < 0 else f"${rounded:,}"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 10 or not part else f"{share:.1f} %"


def _replay_json(replay: Replay) -> dict[str, Any]:
    total = replay.total
    if not total.calls:
        return {"calls": 0, "without_facts": replay.without_facts, "out_of_order": replay.out_of_order}
    return {
        "calls": total.calls, "from": replay.first_day, "to": replay.last_at[:10],
        "without_facts": replay.without_facts, "out_of_order": replay.out_of_order,
        "without_usage": total.without_usage, "unpriced": total.unpriced,
        "moved": sum(money.calls for flow, money in replay.flows.items() if flow.before != flow.after),
        "cost_per_month": _cost_json(_cost(replay, None)),
        "vendors": {side: {name: float(share) for name, share in _vendor_shares(replay, side).items()}
                    for side in ("before", "after")},
        "use_cases": {name: _use_case_json(replay, name, flows) for name, flows in replay.by_use_case().items()},
        "ceilings": [
            {"use_case": use_case, "ceiling": ceiling, "rules": when, "calls": trip.calls, "days": len(trip.days),
             "first_at": trip.first_at}
            for (use_case, ceiling, when), trip in sorted(replay.trips.items())
        ],
    }  # fmt: skip


def _use_case_json(replay: Replay, name: str, flows: Mapping[Flow, Money]) -> dict[str, Any]:
    models = sorted({place.model for flow in flows for place in (flow.before, flow.after) if place.model})
    records = {model: record_of(replay, name, model) for model in models}
    return {
        "cost_per_month": _cost_json(_cost(replay, name)),
        "flows": [
            {"from": str(flow.before), "to": str(flow.after), "calls": money.calls,
             "before_usd": str(money.before_usd), "after_usd": str(money.after_usd)}
            for flow, money in sorted(flows.items(), key=lambda pair: -pair[1].calls)
        ],
        "models": {
            model: None if record is None else {
                "answers": record.answers, "error_share": record.error_share, "p50_seconds": record.p50_seconds,
                "p95_seconds": record.p95_seconds, "in_this_use_case": record.in_this_use_case,
            }
            for model, record in records.items()
        },
    }  # fmt: skip


def _cost_json(cost: Cost) -> dict[str, Any]:
    def one(monthly: Monthly) -> dict[str, str | None]:
        return {
            "usd": str(monthly.usd.quantize(CENT)),
            "low": None if monthly.low is None else str(monthly.low.quantize(CENT)),
            "high": None if monthly.high is None else str(monthly.high.quantize(CENT)),
        }

    return {"before": one(cost.before), "after": one(cost.after), "difference": one(cost.difference), "days": cost.days}
