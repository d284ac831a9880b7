"""What a team asks of a new model before it takes traffic. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    margin: float = 0.02
    """How much worse the candidate may be: 0.02 is two points."""
    slice_margins: Mapping[str, float] = field(default_factory=dict)
    """For slices that may lose more, or less."""
    alpha: float = 0.05
    """Two-sided: intervals hold with 1 - alpha."""
    power: float = 0.8
    """The chance that the number of samples asked for will suffice."""
    min_samples: int = 100
    """Below it no verdict is given."""
    min_saving: float = 0.10
    """A cheaper model must save at least this share, at the unfavourable end of the interval."""
    much_saving: float = 0.50
    """What a worse model must save to be kept for when the money is spent."""
    ceiling_usd: float | None = None
    """What a request may cost on average; None: no ceiling."""
    floor: float | None = None
    """The quality below which no model may serve; None: not said, so no worse model can be shown to reach it."""
    chance: float = 0.0
    """What guessing would score: 0.25 with four choices."""
    max_latency_ratio: float | None = None
    """How much slower the slowest 5 % may get: 1.3 is by 30 %."""
    max_refusals: float | None = None
    """The share of answers that may be refusals."""
    min_kappa: float = 0.6
    """Agreement with people below which a judge is not believed, unless its calibration says otherwise."""
    accepted: frozenset[str] = frozenset()
    """Codes of lints that somebody takes responsibility for."""
    published: Mapping[str, float] = field(default_factory=dict)
    """By model, the mean that the source of the results reports itself."""

    def margin_of(self, slice_name: str | None) -> float:
        return self.margin if slice_name is None else self.slice_margins.get(slice_name, self.margin)
