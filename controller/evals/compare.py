"""Two models on the same samples, from rows to a verdict: data lints first, then figures, then what to do. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.evals.arms import Arm, mean_of
from controller.evals.cascade import Cascade, cascade_of
from controller.evals.decision import Decision
from controller.evals.judged import Judging
from controller.evals.latency import Latency, latency_of
from controller.evals.lints import Data, Lint, lint
from controller.evals.pairs import Pair, pair_up
from controller.evals.quality import Quality, estimate
from controller.evals.slices import SliceFinding, Split, propose_split, slices_of
from controller.evals.spending import Spending, spending_on
from controller.evals.stats.curves import Front, Point, average_quality_of_hull, pareto
from controller.evals.stats.money import RESAMPLES
from controller.evals.verdict import Also, Outcome, decide

WORST = 20
"""Samples that got worse, named in the report."""


@dataclass(frozen=True, slots=True)
class Models:
    """Every model that was run on these samples, by cost and quality."""

    points: Mapping[str, Point]
    front: Front
    hull_quality: float | None
    """AIQ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    incumbent: Arm
    candidate: Arm
    decision: Decision
    lints: tuple[Lint, ...]
    quality: Quality | None
    spending: Spending | None
    latency: Latency | None
    slices: tuple[SliceFinding, ...]
    split: Split | None
    cascade: Cascade | None
    models: Models | None
    """None where costs are unknown."""
    worst: tuple[Pair, ...]
    guardrails: tuple[str, ...]
    """The sentences of those that fail."""
    outcome: Outcome

    @property
    def has_open_lints(self) -> bool:
        return any(lint.is_open for lint in self.lints)


def compare(
    incumbent: Arm,
    candidate: Arm,
    decision: Decision,
    *,
    judging: Judging | None = None,
    others: Sequence[Arm] = (),
    only_slices: Collection[str] = (),
    checker: str | None = None,
    resamples: int = RESAMPLES,
) -> Comparison:
    """`others` are further models for the front; `checker` names the score by which a cascade would keep an answer."""
    pairs = pair_up(incumbent, candidate)
    lints = lint(Data(incumbent, candidate, pairs, decision, judging or Judging()))
    quality = estimate(pairs, decision.margin, decision.alpha, decision.power)
    spending = spending_on(pairs, decision.alpha, resamples)
    latency = latency_of(incumbent, candidate)
    names = incumbent.model, candidate.model
    guardrails = _guardrails(candidate, latency, decision)
    outcome = decide(quality, spending, guardrails, lints, decision, names)
    split = propose_split(pairs, decision, only_slices, resamples)
    cascade = None
    if checker is not None:
        checks = _checks(incumbent, checker), _checks(candidate, checker)
        cascade = cascade_of(pairs, names, checks, checker, decision.alpha, resamples)
    return Comparison(
        incumbent=incumbent,
        candidate=candidate,
        decision=decision,
        lints=lints,
        quality=quality,
        spending=spending,
        latency=latency,
        slices=slices_of(pairs, decision, only_slices),
        split=split,
        cascade=cascade,
        models=_models([incumbent, candidate, *others], pairs),
        worst=tuple(sorted((p for p in pairs if p.difference < 0), key=lambda p: (p.difference, p.sample_id))[:WORST]),
        guardrails=tuple(guardrails),
        outcome=_with_parts(outcome, split, cascade, any(lint.is_open for lint in lints)),
    )


def _with_parts(outcome: Outcome, split: Split | None, cascade: Cascade | None, is_in_doubt: bool) -> Outcome:
    """A part of the traffic may move where all of it may not."""
    if is_in_doubt or outcome.action == "promote":
        return outcome
    also: list[Also] = list(outcome.also)
    if split is not None and split.passes:
        also.append("split")
    if cascade is not None and cascade.is_lawful:
        also.append("cascade")
    return replace(outcome, also=tuple(also))


def _guardrails(candidate: Arm, latency: Latency | None, decision: Decision) -> list[str]:
    """The sentences of those that fail. What was not measured has not passed."""
    failed = []
    if decision.max_latency_ratio is not None:
        ratio = None if latency is None else latency.p95_ratio
        if ratio is None:
            failed.append("its latency is unknown, and a guardrail asks for it")
        elif ratio > decision.max_latency_ratio:
            failed.append(
                f"its p95 latency is {ratio:.2f} times the incumbent's, {decision.max_latency_ratio:g} allowed"
            )
    if decision.max_refusals is not None:
        share = mean_of(float(row.status == "refusal") for row in candidate.rows)
        if share is not None and share > decision.max_refusals:
            failed.append(f"it refuses {share:.1%} of the samples, {decision.max_refusals:.1%} allowed")
    return failed


def _checks(arm: Arm, checker: str) -> Mapping[str, float | None]:
    return {sample_id: sample.scores.get(checker) for sample_id, sample in arm.samples.items()}


def _models(arms: Sequence[Arm], pairs: Sequence[Pair]) -> Models | None:
    """On the samples compared, as far as each model was run on them."""
    points = {}
    for arm in arms:
        samples = [sample for pair in pairs if (sample := arm.samples.get(pair.sample_id)) is not None]
        cost, quality = mean_of(s.cost_usd for s in samples), mean_of(s.success for s in samples)
        if cost is not None and quality is not None:
            points[arm.model] = Point(cost, quality)
    if not points:
        return None
    return Models(points, pareto(points), average_quality_of_hull(points))
