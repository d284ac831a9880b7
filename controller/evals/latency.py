"""How fast the two models answered the same samples. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.evals.arms import Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    n: int
    """Samples that were timed in both arms."""
    incumbent_p50_ms: float
    incumbent_p95_ms: float
    candidate_p50_ms: float
    candidate_p95_ms: float
    difference_p50_ms: float
    """Of the differences sample by sample, candidate minus incumbent."""
    difference_p95_ms: float

    @property
    def p95_ratio(self) -> float | None:
        return self.candidate_p95_ms / self.incumbent_p95_ms if self.incumbent_p95_ms else None


def latency_of(incumbent: Arm, candidate: Arm) -> Latency | None:
    timed = [
        (one.latency_ms, other.latency_ms)
        for sample_id, one in incumbent.samples.items()
        if (other := candidate.samples.get(sample_id)) is not None
    ]
    known = [(one, other) for one, other in timed if one is not None and other is not None]
    if not known:
        return None
    before, after = sorted(one for one, _ in known), sorted(other for _, other in known)
    differences = sorted(other - one for one, other in known)
    return Latency(
        n=len(known),
        incumbent_p50_ms=_quantile(before, 0.5),
        incumbent_p95_ms=_quantile(before, 0.95),
        candidate_p50_ms=_quantile(after, 0.5),
        candidate_p95_ms=_quantile(after, 0.95),
        difference_p50_ms=_quantile(differences, 0.5),
        difference_p95_ms=_quantile(differences, 0.95),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
