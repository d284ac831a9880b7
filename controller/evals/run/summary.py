"""What a run came to: beside the results for `eval compare`, and for people. Pure."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.cli.table import render
from controller.evals.arms import FAILED
from controller.evals.run.run import Outcome
from schemas.eval_files import EvalSet
from schemas.record import Usd
from schemas.rules.graders import Decision, Grader, JudgeGrader

HEAD = ("model", "results", "success", "failed", "ungraded", "USD a call", "p50 ms", "p95 ms")
SHARES = {"p50": 0.5, "p95": 0.95}


def as_summary(
    outcome: Outcome, eval_set: EvalSet, models: Sequence[str], vendors: Mapping[str, str]
) -> dict[str, Any]:
    """The document beside the results: `judges` and `vendors` are what `eval compare` looks at.

    Args:
        vendors: by model of the catalogue.
    """
    return summary_of(outcome, eval_set.use_case, eval_set.hash, eval_set.graders.graders, models, vendors)


def summary_of(
    outcome: Outcome,
    use_case: str,
    set_hash: str,
    graders: Sequence[Grader],
    models: Sequence[str],
    vendors: Mapping[str, str],
) -> dict[str, Any]:
    """The same of a run without an eval set: a task of a team's own."""
    return {
        "judges": [_judge(grader, outcome, vendors) for grader in graders if isinstance(grader, JudgeGrader)],
        "vendors": {model: vendors[base_of(model)] for model in models if base_of(model) in vendors},
        "run_id": outcome.run_id,
        "use_case": use_case,
        "set_hash": set_hash,
        "results": outcome.done,
        "planned": outcome.total,
        "stopped": outcome.stopped or None,
        "models": {model: _of_model(model, outcome) for model in models},
        "paid_usd": format(outcome.paid_usd, "f"),
        "unpriced_calls": outcome.unpriced,
        "lost": {
            "calls": outcome.lost_calls,
            "usd": format(outcome.lost_usd, "f"),
            "unknown": outcome.lost_unknown,
        },
    }  # fmt: skip


def base_of(model: str) -> str:
    return model.partition("@")[0]


def _judge(grader: JudgeGrader, outcome: Outcome, vendors: Mapping[str, str]) -> dict[str, Any]:
    found, model = outcome.agreements.get(grader.id), base_of(grader.model)
    return {
        "grader": grader.id,
        "model": model,
        "vendor": vendors.get(model),
        "kappa": None if found is None else round(found.kappa, 6),
        "calibrated_on": 0 if found is None else found.n,
        "min_kappa": float(grader.min_kappa),
    }


def _of_model(model: str, outcome: Outcome) -> dict[str, Any]:
    lines = [line for line in outcome.lines if line["model"] == model]
    successes = [0.0 if line["status"] in FAILED else line.get("success") for line in lines]
    graded = [success for success in successes if success is not None]
    costs = [Usd(line["cost_usd"]) for line in lines if "cost_usd" in line]
    latencies = [line["latency_ms"] for line in lines if "latency_ms" in line]
    return {
        "results": len(lines),
        "success": math.fsum(graded) / len(graded) if graded else None,
        "failed": sum(line["status"] in FAILED for line in lines),
        "ungraded": len(lines) - len(graded),
        "cost_usd": format(sum(costs, Usd(0)), "f") if costs else None,
        "priced": len(costs),
        "latency_ms": {name: _rank(latencies, share) for name, share in SHARES.items()},
    }


def _rank(values: Sequence[float], share: float) -> float | None:
    """The least value that so many are not above."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else None


def as_text(summary: Mapping[str, Any]) -> str:
    rows = []
    for model, found in summary["models"].items():
        cost = Usd(found["cost_usd"]) / found["priced"] if found["priced"] else None
        latency = found["latency_ms"]
        rows.append([
            model, f"{found['results']:,}", _or_unknown(found["success"], "{:.1%}"), f"{found['failed']:,}",
            f"{found['ungraded']:,}", _or_unknown(cost, "{:.7f}"), _or_unknown(latency["p50"], "{:,.0f}"),
            _or_unknown(latency["p95"], "{:,.0f}"),
        ])  # fmt: skip
    parts = [render(HEAD, rows, right=frozenset(range(1, len(HEAD))))]
    for judge in summary["judges"]:
        kappa = "not calibrated" if judge["kappa"] is None else f"kappa {judge['kappa']:.2f} with people"
        parts.append(f"judge {judge['grader']} ({judge['model']}): {kappa}, at least {judge['min_kappa']:.2f} is asked")
    lost = summary["lost"]
    parts.append(f"paid: ${summary['paid_usd']}{_lost_words(lost)}")
    if summary["unpriced_calls"]:
        parts.append(f"{summary['unpriced_calls']:,} calls have no known price, and are not in that sum")
    return "\n".join(parts)


def compare_command(out: Path, models: Sequence[str], decision: Decision) -> str:
    """What decides between the first model and the second one, by the decision of `graders.yaml`."""
    file = shlex.quote(str(out))
    words = ["pointsman eval compare", f"--incumbent {file} --incumbent-model {shlex.quote(models[0])}"]
    words.append(f"--candidate {file} --candidate-model {shlex.quote(models[1])}")
    if decision.margin is not None:
        words.append(f"--margin {decision.margin}")
    if decision.min_samples is not None:
        words.append(f"--min-samples {decision.min_samples}")
    if decision.min_saving is not None:
        words.append(f"--min-saving {decision.min_saving}")
    if decision.slices:
        # Only named slices have a margin of their own; all are looked at where none is named.
        words.append(f"--slices {','.join(f'{name}={one.margin}' for name, one in sorted(decision.slices.items()))}")
    if decision.guardrails.latency_p95_ratio is not None:
        words.append(f"--max-latency-ratio {decision.guardrails.latency_p95_ratio}")
    if decision.guardrails.refusal_rate_max is not None:
        words.append(f"--max-refusals {decision.guardrails.refusal_rate_max}")
    return " ".join(words)


def _lost_words(lost: Mapping[str, Any]) -> str:
    if not lost["calls"] and Usd(lost["usd"]) == 0:
        return ""
    unknown = f", {lost['unknown']:,} of unknown cost" if lost["unknown"] else ""
    return f", ${lost['usd']} of it for {lost['calls']:,} calls whose answer never arrived{unknown}"


def _or_unknown(value: Any, form: str) -> str:
    return "?" if value is None else form.format(value)
