"""What is wrong with the data, before any verdict: a bug in a harness looks like a better model. Pure."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.evals.arms import SETTINGS, Arm, is_out_of_range, mean_of
from controller.evals.decision import Decision
from controller.evals.judged import Judging
from controller.evals.pairs import Pair, units_of
from controller.evals.stats.mcnemar import mcnemar_exact
from controller.evals.stats.proportions import wilson
from controller.evals.units import mixed_scales

FAR_FROM_MEAN: Final = 0.25
PUBLISHED_WITHIN: Final = 0.005
MISSING_AT_MOST: Final = 0.02
FEW_CLUSTERS: Final = 20
NAMED: Final = 3
"""How many examples a message names."""


@dataclass(frozen=True, slots=True)
class Lint:
    code: str
    message: str
    stops: bool
    """Whether no verdict is given until somebody accepts it; the others say how the data were handled."""
    accepted: bool

    @property
    def is_open(self) -> bool:
        return self.stops and not self.accepted


@dataclass(frozen=True, slots=True)
class Data:
    incumbent: Arm
    candidate: Arm
    pairs: tuple[Pair, ...]
    decision: Decision
    judging: Judging

    @property
    def arms(self) -> tuple[Arm, Arm]:
        return self.incumbent, self.candidate


def lint(data: Data) -> tuple[Lint, ...]:
    found = []
    for code, (check, stops) in LINTS.items():
        messages = list(check(data))
        if messages:
            found.append(Lint(code, "; ".join(messages), stops, code in data.decision.accepted))
    return tuple(found)


def _ids(data: Data) -> Iterable[str]:
    """L1"""
    for one, other in (data.arms, data.arms[::-1]):
        alone = [sample_id for sample_id in one.samples if sample_id not in other.samples]
        if alone:
            yield f"{_many(len(alone), 'sample')} of {one.model} are not in {other.model} ({_some(alone)}): use one set"
    for arm in data.arms:
        if arm.repeated:
            yield f"{arm.model} says {_many(arm.repeated, 'result')} twice; they count once"
        if arm.conflicting:
            number = _many(arm.conflicting, "sample")
            yield f"{arm.model} has several results for one run and repetition of {number}: give each its own epoch"


def _slices(data: Data) -> Iterable[str]:
    """L2"""
    tables = _by_part(data)
    means = [mean_of(pair.incumbent for pair in data.pairs), mean_of(pair.candidate for pair in data.pairs)]
    # So many looks at slices find a strange one by chance; Bonferroni keeps that at alpha.
    alpha = data.decision.alpha / max(1, 2 * len(tables))
    chance = data.decision.chance
    for name, values in tables.items():
        shares = [math.fsum(column) / len(column) for column in values]
        ranges = [wilson(math.fsum(column), len(column), alpha) for column in values]
        off = [share - (mean or 0.0) for share, mean in zip(shares, means, strict=True)]
        for index, arm in enumerate(data.arms):
            here = f"{arm.model} scores {shares[index]:.1%} on {name}"
            mean, elsewhere = means[index] or 0.0, off[1 - index]
            is_far = abs(off[index]) > FAR_FROM_MEAN and not ranges[index].low <= mean <= ranges[index].high
            is_alone = abs(elsewhere) <= FAR_FROM_MEAN and abs(off[index] - elsewhere) > FAR_FROM_MEAN / 2
            if ranges[index].high < chance:
                yield f"{here}, below the {chance:.0%} of guessing: look at its grader"
            elif is_far and is_alone:
                yield f"{here} and {mean:.1%} overall, {data.arms[1 - index].model} does not: look at its grader"


def _published(data: Data) -> Iterable[str]:
    """L3"""
    for arm in data.arms:
        said = data.decision.published.get(arm.model)
        if said is None:
            continue
        if arm.mean is None or abs(arm.mean - said) > PUBLISHED_WITHIN:
            mean = "nothing" if arm.mean is None else f"{arm.mean:.1%}"
            yield f"{arm.model} is published with {said:.1%}, these rows give {mean}: not the results of that claim"


def _range(data: Data) -> Iterable[str]:
    """L4"""
    for arm in data.arms:
        outside = [row for row in arm.rows if is_out_of_range(row)]
        if outside:
            values = _some(
                f"{value:g}" for value in sorted({row.success for row in outside if row.success is not None})
            )
            yield f"{_many(len(outside), 'result')} of {arm.model} outside 0 to 1 ({values}); they count as ungraded"
        negative = sorted(
            {name for row in arm.rows for name, score in row.scores.items() if score is not None and score < 0}
        )
        if negative:
            yield f'{arm.model} has scores below 0 ({_some(negative)}): a mark for "not judged" is no score'


def _epochs(data: Data) -> Iterable[str]:
    """L5"""
    for arm in data.arms:
        counts = {sample.repetitions - sample.ungraded for sample in arm.samples.values() if sample.success is not None}
        if len(counts) > 1:
            yield f"samples of {arm.model} were run {min(counts)} to {max(counts)} times; each counts once, by its mean"


def _settings(data: Data) -> Iterable[str]:
    """L6"""
    paired = [(data.incumbent.samples[pair.sample_id], data.candidate.samples[pair.sample_id]) for pair in data.pairs]
    for name in (*SETTINGS, "grader_versions"):
        differ = [(a.settings[name], b.settings[name]) for a, b in paired if a.settings[name] and b.settings[name]]
        differ = [(a, b) for a, b in differ if a != b]
        if differ:
            a, b = (_some(sorted(frozenset().union(*sides))) for sides in zip(*differ, strict=True))
            yield f"{name} differs on {_many(len(differ), 'sample')} ({a} against {b}): run both alike"
    for name in ("cluster", "slice"):
        names = [(getattr(a, name), getattr(b, name)) for a, b in paired]
        number = sum(a is not None and b is not None and a != b for a, b in names)
        if number:
            yield f"{_many(number, 'sample')} with another {name} in one arm than in the other: run both on one set"


def _missing(data: Data) -> Iterable[str]:
    """L7"""
    for arm in data.arms:
        runs = sum(sample.repetitions for sample in arm.samples.values())
        ungraded = sum(sample.ungraded for sample in arm.samples.values())
        if runs and ungraded / runs > MISSING_AT_MOST:
            yield f"{ungraded:,} of {runs:,} results of {arm.model} are ungraded: mend the grader and grade them"
    shared = [
        (bool(one.ungraded), bool(data.candidate.samples[sample_id].ungraded))
        for sample_id, one in data.incumbent.samples.items()
        if sample_id in data.candidate.samples
    ]
    alone = [shared.count((True, False)), shared.count((False, True))]
    if mcnemar_exact(*alone) < data.decision.alpha:
        counts = " and ".join(f"{n:,} of {arm.model}" for n, arm in zip(alone, data.arms, strict=True))
        yield f"{counts} alone are ungraded: what is missing depends on the model"


def _costs(data: Data) -> Iterable[str]:
    """L8"""
    for arm in data.arms:
        runs = sum(sample.repetitions for sample in arm.samples.values())
        unpriced = sum(sample.unpriced for sample in arm.samples.values())
        if unpriced == runs:
            yield f"no result of {arm.model} has a cost above zero: nothing can be said of saving"
        elif unpriced:
            yield f"{unpriced:,} of {runs:,} results of {arm.model} have no cost above zero"


def _clusters(data: Data) -> Iterable[str]:
    """L9"""
    units = units_of(data.pairs)
    if units is not None and len(set(units)) < FEW_CLUSTERS:
        yield f"only {len(set(units))} clusters: the error is the larger of the plain and the clustered one"


def _judges(data: Data) -> Iterable[str]:
    """L10"""
    models = {arm.model for arm in data.arms}
    vendors = {data.judging.vendors[model]: model for model in sorted(models & data.judging.vendors.keys())}
    for judge in data.judging.judges:
        least = data.decision.min_kappa if judge.min_kappa is None else judge.min_kappa
        if judge.kappa is not None and judge.kappa < least:
            yield f"{judge.grader} agrees with people at kappa {judge.kappa:.2f}, not {least:.2f}: mend its rubric"
        if judge.model in models:
            yield f"{judge.grader} is {judge.model}, which is compared here: let another model judge"
        elif judge.vendor in vendors:
            yield f"{judge.grader} is of {judge.vendor}, like {vendors[judge.vendor]}: let another vendor's model judge"


def _units(data: Data) -> Iterable[str]:
    """L11"""
    for arm in data.arms:
        units = sorted(unit or "bare numbers" for unit in arm.cost_units)
        if len(units) > 1:
            yield f"costs of {arm.model} are written in {' and '.join(units)}: write all in USD"
        elif times := mixed_scales(arm.rows):
            yield f"costs of {arm.model} fall into two groups about {times:,.0f} times apart: two units in one file?"


LINTS: Final[Mapping[str, tuple[Callable[[Data], Iterable[str]], bool]]] = {
    "L1": (_ids, True),
    "L2": (_slices, True),
    "L3": (_published, True),
    "L4": (_range, True),
    "L5": (_epochs, False),
    "L6": (_settings, True),
    "L7": (_missing, True),
    "L8": (_costs, True),
    "L9": (_clusters, False),
    "L10": (_judges, True),
    "L11": (_units, True),
}
"""What finds it, and whether it stops: repetitions are averaged and few clusters widen the interval anyway."""


def _by_part(data: Data) -> Mapping[str, tuple[Sequence[float], Sequence[float]]]:
    """By slice, or by cluster where samples have no slice: what the incumbent and the candidate scored."""
    table: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for pair in data.pairs:
        part = pair.slice or pair.cluster
        if part is not None:
            for column, score in zip(table[part], (pair.incumbent, pair.candidate), strict=True):
                column.append(score)
    return dict(sorted(table.items()))


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    tail = ", …" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + tail


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
