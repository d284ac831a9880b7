"""The rolling quality bar: when a model's answers to a use case have become too bad for it to go first, and when they
are good enough again. Pure: the caller brings the time.

A fall is seen by a CUSUM over passed and failed answers (Page 1954): its sum grows with each answer that is likelier
of a model below the bar than of a healthy one, and never falls under zero. A recovery is seen by a confidence sequence
(Robbins 1970, beta-binomial mixture) over the few answers that the model still gives: it holds at every number of
answers at once, so looking at it after each is allowed. Both hold for scores between failed and passed too: such a one
counts for its part as either (Waudby-Smith and Ramdas 2020, on bounded means).

What checks say and what each kind of feedback says are signals of their own, each with its own sums: a model gives way
while any one of them has it below the bar.
"""

from collections import OrderedDict
from decimal import Decimal
from math import lgamma, log
from zlib import crc32

ALARM = log(20_000)
"""A healthy model is called bad once in twenty thousand answers on average, or less often."""
DOUBT = 0.05
"""How often a model that is below the bar still may ever be let back."""
COOL_DOWN_SECONDS = 1800.0
"""A model that fell stays behind for this long at least."""
SECOND_CHANCE_SECONDS = 86_400.0
"""A model that fell by feedback is trusted again after this long, whatever its probes show: few of them get a score."""
MAX_MODELS = 4096
"""Signals of models of all use cases together; the one that was heard of least lately is forgotten first."""
PROBES_ONE_IN = 20
"""Calls, of those that a fallen model would have had."""
LOWEST, HIGHEST = 0.01, 0.995
"""Scores beyond these are held to them: no number of answers shows that one never fails."""


CHECKS = "checks"
"""The signal of a quality bar's checks; the others are kinds of feedback."""


class _Signal:
    __slots__ = ("failed", "fell_at", "passed", "sum")

    def __init__(self) -> None:
        self.sum = 0.0
        self.fell_at: float | None = None
        """Monotonic seconds; None: it is trusted."""
        self.passed = 0.0
        """Since it fell."""
        self.failed = 0.0


class QualityWindow:
    """Every model of every use case that has a rolling bar. Outlives reloads."""

    def __init__(self) -> None:
        self._signals: OrderedDict[tuple[str, str, str], _Signal] = OrderedDict()
        self._fallen: dict[str, frozenset[tuple[str, str]]] = {}
        """Use case → models that fell, each with the signal that says so."""
        self._giving_way: dict[str, frozenset[str]] = {}

    def note(
        self, use_case: str, model: str, min_score: Decimal, *, score: float, now: float, signal: str = CHECKS
    ) -> None:
        """What is said of one answer of a model: from 0, failed, to 1, passed."""
        key = (use_case, model, signal)
        state = self._signals.get(key)
        if state is None:
            state = self._signals[key] = _Signal()
            self._forget()
        self._signals.move_to_end(key)
        bar = min(max(float(min_score), LOWEST), HIGHEST)
        if state.fell_at is None:
            state.sum = max(0.0, state.sum + _evidence(bar, score))
            if state.sum >= ALARM:
                state.fell_at, state.passed, state.failed = now, 0.0, 0.0
                self._tell(use_case, self._fallen.get(use_case, frozenset()) | {(model, signal)})
            return
        state.passed, state.failed = state.passed + score, state.failed + 1 - score
        behind = now - state.fell_at
        is_well = behind >= COOL_DOWN_SECONDS and lower_bound(state.passed, state.failed) >= bar
        if is_well or (signal != CHECKS and behind >= SECOND_CHANCE_SECONDS):
            state.sum, state.fell_at = 0.0, None
            self._tell(use_case, self._fallen.get(use_case, frozenset()) - {(model, signal)})

    def fallen(self, use_case: str) -> frozenset[str]:
        """Models that must give way now."""
        return self._giving_way.get(use_case, frozenset())

    def all_fallen(self) -> list[tuple[str, str]]:
        """(use case, model), sorted."""
        return sorted((use_case, model) for use_case, models in self._giving_way.items() for model in models)

    def _tell(self, use_case: str, fallen: frozenset[tuple[str, str]]) -> None:
        if fallen:
            self._fallen[use_case], self._giving_way[use_case] = fallen, frozenset(model for model, _ in fallen)
        else:
            self._fallen.pop(use_case, None)
            self._giving_way.pop(use_case, None)

    def _forget(self) -> None:
        if len(self._signals) > MAX_MODELS:
            (use_case, model, signal), _ = self._signals.popitem(last=False)
            self._tell(use_case, self._fallen.get(use_case, frozenset()) - {(model, signal)})


def is_quality_probe(call_id: str) -> bool:
    """Whether a call goes to a model that fell all the same: one in twenty, by its id."""
    return crc32(call_id.encode()) % PROBES_ONE_IN == 0


def _evidence(bar: float, score: float) -> float:
    """How much likelier this answer is of a model clearly below the bar than of one clearly above it, as a logarithm.

    Above is half of the way from the bar to perfect, below twice as far down: at the bar itself the sum does not grow.
    """
    above, below = (1 + bar) / 2, max(2 * bar - 1, bar / 2)
    return score * log(below / above) + (1 - score) * log((1 - below) / (1 - above))


def lower_bound(passed: float, failed: float) -> float:
    """The rate of passing that a model surely has, whenever one looks: at least this, but for `DOUBT`."""
    if not passed:
        return 0.0
    seen = lgamma(passed + 1) + lgamma(failed + 1) - lgamma(passed + failed + 2)
    low, high = 0.0, passed / (passed + failed)
    for _ in range(40):
        middle = (low + high) / 2
        likelihood = passed * log(middle) + (failed * log(1 - middle) if failed else 0.0)
        if seen - likelihood >= -log(DOUBT):
            low = middle
        else:
            high = middle
    return low
