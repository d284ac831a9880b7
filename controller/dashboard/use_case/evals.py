"""What was measured before changes: comparisons with their intervals, every model's cost and quality. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from controller.dashboard.view import Table
from controller.evals.stats.curves import Point, pareto
from controller.plots.charts import Interval, Intervals, Kind, Mark, Scatter
from schemas.rules.evidence import Arm, Evidence
from schemas.rules.rule_set import RuleFile

UNKNOWN: Final = "unknown"
HEAD: Final = (
    "measured", "candidate", "incumbent", "samples", "difference, points", "from", "to", "margin, points", "verdict",
    "permits", "cost ratio", "file",
)  # fmt: skip
MODELS_HEAD: Final = (
    "model", "quality", "from", "to", "USD a sample", "USD a success", "p95, ms", "on the best line", "measured",
)  # fmt: skip


def eval_tables(name: str, evidence: Sequence[RuleFile[Evidence]] | None) -> tuple[Table, Table]:
    """
    Args:
        evidence: of this use case, the newest first; None: the rule files cannot be read.
    """
    found = [(one.content, one.file) for one in evidence or ()]
    empty = "Unknown while the rule files cannot be read."
    if evidence is not None:
        empty = (
            f"Nothing was measured yet. `pointsman eval run` asks models the samples of use-cases/{name}/eval, "
            "`pointsman eval propose` commits what comes of it as evidence."
        )
    rows = [_row(one, file) for one, file in found]
    return (
        Table("evals", "Evals", HEAD, rows, empty, chart=_intervals([one for one, _ in found])),
        _models(found, empty),
    )


def _row(one: Evidence, file: str) -> tuple[str, ...]:
    return (
        one.created.isoformat(), one.candidate, one.incumbent, f"{one.n:,}", _points(one.diff),
        *map(_points, one.interval), _points(-one.asked.margin), one.verdict, ", ".join((one.action, *one.also)),
        UNKNOWN if one.cost_ratio is None else f"{one.cost_ratio:.3f}", file,
    )  # fmt: skip


def _intervals(found: Sequence[Evidence]) -> Intervals | None:
    if not found:
        return None
    margins = {one.asked.margin for one in found}
    rows = [
        Interval(
            f"{one.candidate}, {one.created}", float(one.interval[0]), float(one.diff), float(one.interval[1]),
            _kind(one), f"{_points(one.diff)}: {one.verdict.replace('_', ' ')}",
        )
        for one in found
    ]  # fmt: skip
    title = "Difference to the incumbent in points, with its interval"
    return Intervals(title, rows, float(found[0].asked.margin) if len(margins) == 1 else None)


def _kind(one: Evidence) -> Kind:
    match one.verdict:
        case "superior" | "non_inferior":
            return "good"
        case "inferior":
            return "bad"
        case _:
            return "open"


def _models(found: Sequence[tuple[Evidence, str]], empty: str) -> Table:
    newest = _newest([one for one, _ in found])
    priced = {
        name: Point(float(arm.cost_usd), float(arm.quality))
        for name, (arm, _) in newest.items()
        if arm.cost_usd is not None
    }
    best = pareto(priced).hull
    rows = [
        (
            name, f"{arm.quality:.1%}", *(f"{end:.1%}" for end in arm.interval), _usd(arm.cost_usd),
            _usd(arm.cost_per_success_usd), UNKNOWN if arm.latency_p95_ms is None else f"{arm.latency_p95_ms:,.0f}",
            UNKNOWN if name not in priced else "yes" if name in best else "no", measured,
        )
        for name, (arm, measured) in sorted(newest.items())
    ]  # fmt: skip
    chart = None
    if len(priced) > 1:
        marks = [Mark(name, point.cost, point.quality, name in best) for name, point in sorted(priced.items())]
        chart = Scatter("Quality by US dollars a sample; the line is what the best mixes reach", marks)
    note = "Each model as its newest comparison measured it; samples may differ between days." if rows else ""
    return Table("models", "Quality and cost of models", MODELS_HEAD, rows, empty, chart=chart, note=note)


def _newest(found: Sequence[Evidence]) -> Mapping[str, tuple[Arm, str]]:
    newest: dict[str, tuple[Arm, str]] = {}
    for one in found:
        for side, name in (("candidate", one.candidate), ("incumbent", one.incumbent)):
            if side in one.arms:
                newest.setdefault(name, (one.arms[side], one.created.isoformat()))  # type: ignore[index]
    return newest


def _points(share: object) -> str:
    return f"{100 * float(share):+.2f}"  # type: ignore[arg-type]


def _usd(amount: object) -> str:
    return UNKNOWN if amount is None else f"{amount:.6g}"
