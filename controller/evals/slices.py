"""Some traffic rather than all: what holds for each slice, and a split that is proposed by one half of the samples
and tested on the other. Pure.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from controller.evals.decision import Decision
from controller.evals.pairs import Pair
from controller.evals.quality import Quality, estimate
from controller.evals.spending import Spending, spending_on
from controller.evals.stats.holm import holm
from controller.evals.stats.money import RESAMPLES
from controller.evals.verdict import Verdict, verdict_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFinding:
    name: str
    quality: Quality
    verdict: Verdict
    """By its own interval; for a slice alone there is no least number of samples."""
    adjusted_p: float
    """Of "worse by the margin", by Holm over all slices."""
    passes: bool
    """Whether it is shown to be not worse, with all slices looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    slices: tuple[str, ...]
    """Those that go to the candidate; all other traffic stays."""
    proposed_by: int
    """Samples of the half that proposed it."""
    quality: Quality
    """Of the whole traffic under the split against the incumbent, on the other half."""
    spending: Spending | None
    verdict: Verdict
    passes: bool
    """Not worse on the other half, and cheaper or better there."""


def slices_of(pairs: Sequence[Pair], decision: Decision, only: Collection[str] = ()) -> tuple[SliceFinding, ...]:
    """By name; `only` limits them."""
    return _findings(_seen_from_slices(pairs), decision, only)


def _findings(pairs: Sequence[Pair], decision: Decision, only: Collection[str]) -> tuple[SliceFinding, ...]:
    table = _by_slice(pairs)
    found: list[tuple[str, Quality]] = []
    for name in sorted(table.keys() & set(only) if only else table):
        quality = estimate(table[name], decision.margin_of(name), decision.alpha, decision.power)
        if quality is not None:
            found.append((name, quality))
    adjusted = holm([quality.non_inferior_p for _, quality in found])
    return tuple(
        SliceFinding(
            name=name,
            quality=quality,
            verdict=verdict_of(quality, min_samples=0),
            adjusted_p=p,
            passes=p <= decision.alpha / 2,
        )
        for (name, quality), p in zip(found, adjusted, strict=True)
    )


def propose_split(
    pairs: Sequence[Pair], decision: Decision, only: Collection[str] = (), resamples: int = RESAMPLES
) -> Split | None:
    """None where no slice, or every one, passes alone and is worth moving."""
    pairs = _seen_from_slices(pairs)
    proposing = [pair for pair in pairs if not pair.is_held_out]
    held_out = [pair for pair in pairs if pair.is_held_out]
    moved = []
    for finding in _findings(proposing, decision, only):
        spending = spending_on([p for p in proposing if p.slice == finding.name], decision.alpha, resamples)
        is_cheaper = spending is not None and spending.saves(decision.min_saving)
        if finding.passes and (is_cheaper or finding.verdict == "superior"):
            moved.append(finding.name)
    if not moved or {pair.slice for pair in pairs} <= set(moved):
        return None
    routed = [pair if pair.slice in moved else _stays(pair) for pair in held_out]
    quality = estimate(routed, decision.margin, decision.alpha, decision.power)
    if quality is None:
        return None
    verdict = verdict_of(quality, decision.min_samples)
    spending = spending_on(routed, decision.alpha, resamples)
    is_worth_it = verdict == "superior" or (spending is not None and spending.saves(0))
    return Split(
        slices=tuple(moved),
        proposed_by=len(proposing),
        quality=quality,
        spending=spending,
        verdict=verdict,
        passes=verdict in ("superior", "non_inferior") and is_worth_it,
    )


def _by_slice(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    table: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.slice is not None:
            table[pair.slice].append(pair)
    return dict(table)


def _seen_from_slices(pairs: Sequence[Pair]) -> list[Pair]:
    """Where a slice is one cluster, what is decided is that very cluster: within it samples stand alone."""
    single = {name for name, inside in _by_slice(pairs).items() if len({pair.unit for pair in inside}) == 1}
    return [replace(pair, cluster=None) if pair.slice in single else pair for pair in pairs]


def _stays(pair: Pair) -> Pair:
    return replace(pair, candidate=pair.incumbent, candidate_usd=pair.incumbent_usd)
