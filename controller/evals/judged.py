"""What is known of the judge behind a results file: whose model it is, and how far it agrees with people. Pure.

It stands beside the results as `<results>.summary.json`:
`{"judges": [{"grader": …, "model": …, "vendor": …, "kappa": 0.7, "min_kappa": 0.6}], "vendors": {model: vendor}}`.
Rows that carry both a `judge` and a `human` score say it themselves.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.evals.rows import Row
from controller.evals.stats.judge import Agreement

JUDGE, HUMAN = "judge", "human"
PASSES = 0.5
"""A score from here on is a pass, on scales from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    grader: str = JUDGE
    model: str | None = None
    vendor: str | None = None
    kappa: float | None = None
    min_kappa: float | None = None


@dataclass(frozen=True, slots=True)
class Judging:
    judges: tuple[Judge, ...] = ()
    vendors: Mapping[str, str] = field(default_factory=dict)
    """By model, of those compared."""

    def joined(self, other: "Judging") -> "Judging":
        return Judging(tuple(dict.fromkeys((*self.judges, *other.judges))), {**self.vendors, **other.vendors})


class UnclearSummary(ValueError):
    """`str(error)` says what would be right."""


def parse_judging(text: str) -> Judging:
    """Keys of other names are left alone.

    Raises:
        UnclearSummary: no JSON, or not of the form above.
    """
    try:
        document = json.loads(text)
        judges = tuple(
            Judge(
                grader=str(one.get("grader", JUDGE)),
                model=one.get("model"),
                vendor=one.get("vendor"),
                kappa=None if one.get("kappa") is None else float(one["kappa"]),
                min_kappa=None if one.get("min_kappa") is None else float(one["min_kappa"]),
            )
            for one in document.get("judges", [])
        )
        vendors = {str(model): str(vendor) for model, vendor in document.get("vendors", {}).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UnclearSummary('write {"judges": [{"grader", "model", "vendor", "kappa", "min_kappa"}]}') from error
    return Judging(judges, vendors)


def judging_in(rows: Sequence[Row]) -> Judging:
    """From samples that people labelled too, if there are any."""
    pairs = [(row.scores.get(JUDGE), row.scores.get(HUMAN)) for row in rows]
    labelled = [(judge >= PASSES, human >= PASSES) for judge, human in pairs if judge is not None and human is not None]
    if not labelled:
        return Judging()
    counts = [labelled.count(case) for case in ((True, True), (True, False), (False, True), (False, False))]
    return Judging((Judge(kappa=Agreement(*counts).kappa),))
