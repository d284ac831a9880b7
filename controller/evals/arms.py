"""One model's results, gathered by sample: repetitions are averaged first, so that each sample counts once. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.evals.rows import Row

SETTINGS: Final = ("set_hash", "harness_version", "prompt_hash", "params_hash", "price_version")
"""What must be alike in both arms for a difference to be the models' own."""
FAILED: Final = frozenset({"model_error", "timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is known of one model on one sample; None is unknown."""

    sample_id: str
    success: float | None
    """Mean over the repetitions that could be graded."""
    repetitions: int
    ungraded: int
    """How many of the repetitions nobody could grade."""
    cost_usd: float | None
    """Mean over the repetitions whose cost is known."""
    unpriced: int
    """How many repetitions have no cost, or none above zero."""
    latency_ms: float | None
    cluster: str | None
    slice: str | None
    scores: Mapping[str, float | None]
    """Means, by grader."""
    settings: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    model: str
    rows: tuple[Row, ...]
    samples: Mapping[str, Sample]
    """By id, in the order of ids: what comes of them does not depend on the file's."""
    repeated: int
    """Rows that say again what another of the same run, sample and repetition says."""
    conflicting: int
    """Samples with rows of one run and repetition that say different things; their mean counts."""
    cost_units: frozenset[str]

    @property
    def mean(self) -> float | None:
        return mean_of(sample.success for sample in self.samples.values())


def is_out_of_range(row: Row) -> bool:
    return row.success is not None and not 0 <= row.success <= 1


def graded(row: Row) -> float | None:
    """The primary metric as it counts: users see a model that fails or times out, nobody sees a grader that does."""
    if row.status in FAILED:
        return 0.0
    return None if row.status == "grader_error" or is_out_of_range(row) else row.success


def gather(model: str, rows: Sequence[Row], cost_units: frozenset[str] = frozenset()) -> Arm:
    by_sample: defaultdict[str, defaultdict[tuple[str, int], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_sample[row.sample_id][row.run_id or "", row.epoch].append(row)
    repeated = conflicting = 0
    for runs in by_sample.values():
        distinct = [len({_said(row) for row in same}) for same in runs.values()]
        repeated += sum(len(same) - number for same, number in zip(runs.values(), distinct, strict=True))
        conflicting += any(number > 1 for number in distinct)
    return Arm(
        model=model,
        rows=tuple(rows),
        samples={sample_id: _sample(sample_id, by_sample[sample_id]) for sample_id in sorted(by_sample)},
        repeated=repeated,
        conflicting=conflicting,
        cost_units=cost_units,
    )


def mean_of(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _said(row: Row) -> object:
    return row.success, row.status, row.cost_usd, row.latency_ms, row.in_tok, row.out_tok


def _sample(sample_id: str, runs: Mapping[tuple[str, int], Sequence[Row]]) -> Sample:
    repetitions = list(runs.values())
    rows = [row for same in repetitions for row in same]
    successes = [mean_of(map(graded, same)) for same in repetitions]
    graders = sorted({grader for row in rows for grader in row.scores})
    return Sample(
        sample_id=sample_id,
        success=mean_of(successes),
        repetitions=len(repetitions),
        ungraded=sum(success is None for success in successes),
        cost_usd=mean_of(mean_of(map(_cost, same)) for same in repetitions),
        unpriced=sum(not all(row.cost_usd for row in same) for same in repetitions),
        latency_ms=mean_of(mean_of(row.latency_ms for row in same) for same in repetitions),
        cluster=min((row.cluster for row in rows if row.cluster), default=None),
        slice=min((row.slice for row in rows if row.slice), default=None),
        scores={
            name: mean_of(mean_of(row.scores.get(name) for row in same) for same in repetitions) for name in graders
        },
        settings=_settings(rows),
    )


def _cost(row: Row) -> float | None:
    return None if row.cost_usd is None else float(row.cost_usd)


def _settings(rows: Sequence[Row]) -> Mapping[str, frozenset[str]]:
    known = {name: frozenset(value for row in rows if (value := getattr(row, name))) for name in SETTINGS}
    known["grader_versions"] = frozenset(
        f"{name} {version}" for row in rows for name, version in row.grader_versions.items()
    )
    return known
