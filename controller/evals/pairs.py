"""The samples that both models were graded on, side by side. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from controller.evals.arms import Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    sample_id: str
    incumbent: float
    candidate: float
    incumbent_usd: float | None
    candidate_usd: float | None
    cluster: str | None
    slice: str | None

    @property
    def difference(self) -> float:
        return self.candidate - self.incumbent

    @property
    def unit(self) -> tuple[str, str]:
        """What varies independently: the cluster, or the sample that stands alone."""
        return ("cluster", self.cluster) if self.cluster is not None else ("sample", self.sample_id)

    @property
    def is_held_out(self) -> bool:
        """Half of the units, the same half in every run, so that what one half proposes the other can test."""
        return sha256("\0".join(self.unit).encode()).digest()[0] % 2 == 1


def pair_up(incumbent: Arm, candidate: Arm) -> tuple[Pair, ...]:
    """In the order of ids. A cluster or slice that only one arm knows holds for both."""
    pairs = []
    for sample_id, one in incumbent.samples.items():
        other = candidate.samples.get(sample_id)
        if other is None or one.success is None or other.success is None:
            continue
        pairs.append(
            Pair(
                sample_id=sample_id,
                incumbent=one.success,
                candidate=other.success,
                incumbent_usd=one.cost_usd,
                candidate_usd=other.cost_usd,
                cluster=_either(one.cluster, other.cluster),
                slice=_either(one.slice, other.slice),
            )
        )
    return tuple(pairs)


def units_of(pairs: Sequence[Pair]) -> list[tuple[str, str]] | None:
    """Each pair's independent unit; None where all samples stand alone."""
    units = [pair.unit for pair in pairs]
    return units if len(set(units)) < len(units) else None


def _either(one: str | None, other: str | None) -> str | None:
    return min((name for name in (one, other) if name is not None), default=None)
