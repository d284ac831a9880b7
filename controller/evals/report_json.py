"""A comparison as programs read it. Pure."""

import math
from collections.abc import Sequence
from typing import Any

from controller.evals.arms import Arm
from controller.evals.cascade import Cascade
from controller.evals.compare import Comparison, Models
from controller.evals.latency import Latency
from controller.evals.quality import Quality
from controller.evals.slices import SliceFinding, Split
from controller.evals.spending import Estimate, Spending
from controller.evals.stats.interval import Interval

DIGITS = 12
"""Significant digits: the last ones of a double differ from machine to machine."""


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The first line of keys is what scripts rely on; money is in USD per sample, quality from 0 to 1."""
    quality, spending, outcome = comparison.quality, comparison.spending, comparison.outcome
    return {
        "verdict": outcome.verdict,
        "action": outcome.action,
        "n": quality.n if quality else 0,
        "diff": _number(quality.difference if quality else None),
        "interval": _ends(quality.interval if quality else None),
        "m_star": _number(quality.smallest_proved_margin if quality else None),
        "needed": quality.needed if quality else None,
        "mcnemar_p": _number(quality.mcnemar_p if quality else None),
        "cost_ratio": _number(spending.ratio.value if spending and spending.ratio else None),
        "cost_per_success": _per_success(spending),
        "lints": [
            {"code": lint.code, "message": lint.message, "accepted": lint.accepted, "stops": lint.stops}
            for lint in comparison.lints
        ],
        "also": list(outcome.also),
        "verdict_reason": outcome.verdict_reason,
        "action_reason": outcome.action_reason,
        "margin": comparison.decision.margin,
        "alpha": comparison.decision.alpha,
        "min_samples": comparison.decision.min_samples,
        "min_saving": comparison.decision.min_saving,
        "accepted": sorted(comparison.decision.accepted),
        "incumbent": _arm(comparison.incumbent, (quality.incumbent, quality.incumbent_interval) if quality else None),
        "candidate": _arm(comparison.candidate, (quality.candidate, quality.candidate_interval) if quality else None),
        "quality": _quality(quality, comparison.decision.min_samples) if quality else None,
        "cost": _spending(spending) if spending else None,
        "latency": _latency(comparison.latency) if comparison.latency else None,
        "slices": [_slice(finding) for finding in comparison.slices],
        "split": _split(comparison.split) if comparison.split else None,
        "cascade": _cascade(comparison.cascade) if comparison.cascade else None,
        "models": _models(comparison.models) if comparison.models else None,
        "worst": [
            {"sample_id": p.sample_id, "incumbent": p.incumbent, "candidate": p.candidate, "slice": p.slice}
            for p in comparison.worst
        ],
    }  # fmt: skip


def _arm(arm: Arm, score: tuple[float, Interval] | None) -> dict[str, Any]:
    repetitions = sorted({sample.repetitions for sample in arm.samples.values()})
    settings: dict[str, set[str]] = {}
    for sample in arm.samples.values():
        for name, values in sample.settings.items():
            settings.setdefault(name, set()).update(values)
    times = sorted(row.ts for row in arm.rows if row.ts)
    return {
        "model": arm.model,
        "rows": len(arm.rows),
        "samples": len(arm.samples),
        "epochs": [repetitions[0], repetitions[-1]] if repetitions else None,
        "mean": _number(score[0] if score else None),
        "interval": _ends(score[1] if score else None),
        **{name: sorted(values) for name, values in settings.items()},
        "from": times[0] if times else None,
        "to": times[-1] if times else None,
    }


def _quality(quality: Quality, min_samples: int) -> dict[str, Any]:
    counts = quality.counts
    return {
        "method": quality.method,
        "clusters": quality.clusters if quality.is_clustered else None,
        "counts": counts and {
            "both": counts.both, "only_candidate": counts.only_candidate,
            "only_incumbent": counts.only_incumbent, "neither": counts.neither,
        },
        "candidate_better": quality.candidate_better,
        "incumbent_better": quality.incumbent_better,
        "se": _number(quality.se_iid),
        "se_clustered": _number(quality.se_clustered) if quality.is_clustered else None,
        "design_effect": _number(quality.design_effect),
        "non_inferior_p": _number(quality.non_inferior_p),
        "detectable": _number(quality.detectable),
        "needed_at_observed": quality.needed_at_observed,
        "more": quality.more(min_samples),
        "more_at_observed": quality.more_at_observed(min_samples),
    }  # fmt: skip


def _per_success(spending: Spending | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("incumbent", "candidate"):
        estimate: Estimate | None = getattr(spending, f"{name}_per_success") if spending else None
        found[name] = _number(estimate.value if estimate else None)
        found[f"{name}_se"] = _number(estimate.se if estimate else None)
        found[f"{name}_interval"] = _ends(estimate.interval if estimate else None)
    return found


def _spending(spending: Spending) -> dict[str, Any]:
    ratio = spending.ratio
    return {
        "n": spending.n,
        "incumbent_usd": _number(spending.incumbent_usd),
        "candidate_usd": _number(spending.candidate_usd),
        "ratio_se": _number(ratio.se if ratio else None),
        "ratio_interval": _ends(ratio.interval if ratio else None),
    }


def _latency(latency: Latency) -> dict[str, Any]:
    return {
        "n": latency.n,
        "incumbent_p50_ms": latency.incumbent_p50_ms,
        "incumbent_p95_ms": latency.incumbent_p95_ms,
        "candidate_p50_ms": latency.candidate_p50_ms,
        "candidate_p95_ms": latency.candidate_p95_ms,
        "difference_p50_ms": latency.difference_p50_ms,
        "difference_p95_ms": latency.difference_p95_ms,
        "p95_ratio": _number(latency.p95_ratio),
    }


def _slice(finding: SliceFinding) -> dict[str, Any]:
    quality = finding.quality
    return {
        "slice": finding.name,
        "n": quality.n,
        "incumbent": _number(quality.incumbent),
        "candidate": _number(quality.candidate),
        "diff": _number(quality.difference),
        "interval": _ends(quality.interval),
        "margin": quality.margin,
        "p": _number(quality.non_inferior_p),
        "p_holm": _number(finding.adjusted_p),
        "verdict": finding.verdict,
        "passes": finding.passes,
    }


def _split(split: Split) -> dict[str, Any]:
    ratio = split.spending.ratio if split.spending else None
    return {
        "slices": list(split.slices),
        "proposed_by": split.proposed_by,
        "n": split.quality.n,
        "diff": _number(split.quality.difference),
        "interval": _ends(split.quality.interval),
        "verdict": split.verdict,
        "cost_ratio": _number(ratio.value if ratio else None),
        "cost_ratio_interval": _ends(ratio.interval if ratio else None),
        "passes": split.passes,
    }


def _cascade(cascade: Cascade) -> dict[str, Any]:
    weak, strong = cascade.ends
    return {
        "cheap": cascade.cheap,
        "strong": cascade.strong,
        "checker": cascade.checker,
        "threshold": _number(cascade.threshold),
        "n": cascade.n,
        "escalated": _number(cascade.escalated),
        "quality": _number(cascade.reached.quality),
        "cost_usd": _number(cascade.reached.cost),
        "quality_of_strong": _number(cascade.reached.quality / strong.quality if strong.quality else None),
        "cost_of_strong": _number(cascade.reached.cost / strong.cost),
        "random_cost_of_strong": _number(None if cascade.random_usd is None else cascade.random_usd / strong.cost),
        "chord": _number(cascade.chord),
        "lift": _number(cascade.lift),
        "lift_interval": _ends(cascade.lift_interval),
        "lawful": cascade.is_lawful,
        "cheap_point": {"cost_usd": _number(weak.cost), "quality": _number(weak.quality)},
        "strong_point": {"cost_usd": _number(strong.cost), "quality": _number(strong.quality)},
        "perfect_point": {"cost_usd": _number(cascade.perfect.cost), "quality": _number(cascade.perfect.quality)},
    }


def _models(models: Models) -> dict[str, Any]:
    return {
        "points": [
            {"model": name, "cost_usd": _number(point.cost), "quality": _number(point.quality)}
            for name, point in sorted(models.points.items(), key=lambda item: (item[1].cost, item[0]))
        ],
        "front": list(models.front.front),
        "hull": list(models.front.hull),
        "hull_quality": _number(models.hull_quality),
    }


def _number(value: float | None) -> float | None:
    """JSON knows no infinity: what has no end is null."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def _ends(interval: Sequence[float] | None) -> list[float | None]:
    return [None, None] if interval is None else [_number(end) for end in interval]
