"""A comparison as evidence for a change, and the same figures found again from what the evidence holds. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from controller.evals.arms import gather
from controller.evals.compare import Comparison, compare
from controller.evals.decision import Decision
from controller.evals.lints import Lint
from controller.evals.pairs import Pair
from controller.evals.quality import Quality, estimate
from controller.evals.read import parse_results
from controller.evals.rows import Row
from controller.evals.spending import Estimate, Spending
from controller.evals.stats.interval import Interval
from controller.evals.verdict import decide
from schemas.evidence_files import evidence_name
from schemas.rules.evidence import Evidence
from schemas.version import VERSION

TOLERANCE: Final = 1e-6
DIGITS: Final = 12
"""Significant digits: the last ones of a double differ from machine to machine."""
KEPT: Final = (
    "sample_id", "model", "success", "epoch", "status", "cluster", "slice", "run_id", "set_hash", "params_hash",
    "prompt_hash", "price_version", "harness_version", "grader_versions", "cost_usd", "latency_ms",
)  # fmt: skip
"""Columns of the results that figures come from; none holds a prompt or an answer."""


SIDES: Final[tuple[Literal["incumbent"], Literal["candidate"]]] = ("incumbent", "candidate")


class NoEvidence(Exception):
    """This comparison proves nothing; `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """Evidence as files, by name."""

    evidence: Evidence
    name: str
    files: Mapping[str, bytes]


def write_evidence(
    comparison: Comparison,
    *,
    use_case: str,
    created: date,
    accepted_by: Mapping[str, str],
    set_hash: str | None = None,
    with_results: bool = False,
) -> Written:
    """
    Args:
        accepted_by: code of a lint to the team that takes responsibility for it.
        set_hash: of the eval set as it lies; where the results carry none.
        with_results: keep the rows though the counts suffice.

    Raises:
        NoEvidence: nothing was compared, a lint that stops is open, or the results are of several eval sets.
    """
    quality = comparison.quality
    if quality is None:
        raise NoEvidence("no sample was graded for both models")
    if comparison.has_open_lints:
        still = ", ".join(lint.code for lint in comparison.lints if lint.is_open)
        raise NoEvidence(f"the data are in doubt ({still}): mend them, or let a team accept it: --accept {still}")
    hashes = _settings(comparison, "set_hash")
    if len(hashes) > 1:
        raise NoEvidence(f"the results are of {len(hashes)} eval sets: run both models on one")
    rows = _lines(comparison)
    name = evidence_name(created, comparison.candidate.model)
    keeps = with_results or not _counts_suffice(quality) or "split" in comparison.outcome.also
    results_name = f"{name.removesuffix('.json')}.results.jsonl"
    results: dict[str, Any] = {"sha256": hashlib.sha256(rows).hexdigest()}
    document = _document(comparison, quality) | {
        "schema": 1,
        "use_case": use_case,
        "created": created.isoformat(),
        "tool_version": f"pointsman {VERSION}",
        "set_hash": next(iter(hashes), set_hash),
        "accepted": {
            lint.code: accepted_by[lint.code] for lint in comparison.lints if lint.stops and lint.code in accepted_by
        },
        "results": {**results, "file": results_name} if keeps else results,
    }
    text = canonical(document)
    evidence = Evidence.model_validate(json.loads(text, parse_float=Decimal))
    return Written(evidence, name, {name: text} | ({results_name: rows} if keeps else {}))


def canonical(document: Mapping[str, Any]) -> bytes:
    """Equal evidence, equal bytes; lines, so that people can review it. What is not known is left out."""
    said = {key: value for key, value in document.items() if value not in (None, "", {}, [], ())}
    return (json.dumps(said, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def differences(evidence: Evidence, results: bytes | None) -> Iterator[tuple[str, str]]:
    """By key, what the evidence says and its counts or results do not; nothing where all adds up.

    Args:
        results: the committed results file; None where it is not at hand.
    """
    if results is not None and hashlib.sha256(results).hexdigest() != evidence.results.sha256:
        yield "results", f"{evidence.results.file} is not the file that was measured: its sha256 differs"
        return
    again = _from_results(evidence, results) if results is not None else _from_counts(evidence)
    if again is None:
        return
    if isinstance(again, str):
        yield "results", again
        return
    said = _plain(evidence.model_dump(by_alias=True))
    for path, value in sorted(again.items()):
        if not _alike(said.get(path), value):
            yield path, f"{path} is {_shown(said.get(path))}, and comes to {_shown(value)} when computed again"


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case tuple() | list():
            return [_plain(one) for one in value]
        case dict():
            return {key: _plain(one) for key, one in value.items() if one not in (None, (), {})}
        case _:
            return value


def _from_results(evidence: Evidence, data: bytes) -> dict[str, Any] | str:
    results = parse_results(data, evidence.results.file or "", default_model="")
    if results.problems:
        return f"its results cannot be read: {results.problems[0]}"
    sides = [gather(model, results.of_model(model)) for model in (evidence.incumbent, evidence.candidate)]
    again = compare(sides[0], sides[1], _decision(evidence))
    if again.quality is None:
        return "its results hold no sample that both models were graded on"
    document = json.loads(canonical(_document(again, again.quality)))
    # A judge's calibration and what a source published stand in no results file.
    return {key: value for key, value in document.items() if key not in ("lints", "asked", "arms", "epochs")}


def _from_counts(evidence: Evidence) -> dict[str, Any] | str | None:
    counts = evidence.counts
    if counts is None:
        return None if evidence.results.file else "it holds neither counts nor results, so that nothing can be proved"
    if not counts.both + counts.only_candidate + counts.only_incumbent + counts.neither:
        return "it counts no samples"
    decision = _decision(evidence)
    pairs = _pairs([(1.0, 1.0, counts.both), (0.0, 1.0, counts.only_candidate),
                    (1.0, 0.0, counts.only_incumbent), (0.0, 0.0, counts.neither)])  # fmt: skip
    quality = estimate(pairs, decision.margin, decision.alpha, decision.power)
    assert quality is not None
    lints = [Lint(one.code, one.message, one.stops, one.code in evidence.accepted) for one in evidence.lints]
    names = evidence.incumbent, evidence.candidate
    outcome = decide(quality, _spending(evidence), evidence.guardrails, lints, decision, names)
    found = _figures(quality) | {"verdict": outcome.verdict, "action": outcome.action}
    stated = [one for one in evidence.also if one not in ("split", "cascade")]
    return found if stated == list(outcome.also) else found | {"also": list(outcome.also)}


def _pairs(groups: list[tuple[float, float, int]]) -> list[Pair]:
    outcomes = [(one, other) for one, other, number in groups for _ in range(number)]
    return [
        Pair(sample_id=str(number), incumbent=one, candidate=other, incumbent_usd=None, candidate_usd=None,
             cluster=None, slice=None)
        for number, (one, other) in enumerate(outcomes)
    ]  # fmt: skip


def _spending(evidence: Evidence) -> Spending | None:
    incumbent, candidate = (evidence.arms[side].cost_usd for side in SIDES)
    if incumbent is None or candidate is None:
        return None
    ends = evidence.cost_ratio_interval
    interval = None if ends is None else Interval(float(ends[0]), float(ends[1]))
    ratio = None if evidence.cost_ratio is None else Estimate(float(evidence.cost_ratio), None, interval)
    return Spending(n=evidence.n, incumbent_usd=float(incumbent), candidate_usd=float(candidate), ratio=ratio,
                    incumbent_per_success=None, candidate_per_success=None)  # fmt: skip


def _decision(evidence: Evidence) -> Decision:
    asked: dict[str, Any] = {name: value for name, value in evidence.asked if value is not None}
    numbers: dict[str, Any] = {name: value if isinstance(value, int) else float(value) for name, value in asked.items()}
    return Decision(accepted=frozenset(evidence.accepted), **numbers)


def _document(comparison: Comparison, quality: Quality) -> dict[str, Any]:
    spending, outcome, decision = comparison.spending, comparison.outcome, comparison.decision
    ratio = spending.ratio if spending else None
    repetitions = [
        sample.repetitions for arm in (comparison.incumbent, comparison.candidate) for sample in arm.samples.values()
    ]
    asked = asdict(decision)
    return _figures(quality) | {
        "incumbent": comparison.incumbent.model,
        "candidate": comparison.candidate.model,
        "epochs": [min(repetitions), max(repetitions)],
        "verdict": outcome.verdict,
        "action": outcome.action,
        "also": list(outcome.also),
        "cost_ratio": _number(ratio.value) if ratio else None,
        "cost_ratio_interval": _ends(ratio.interval) if ratio and ratio.interval else None,
        "asked": {
            name: asked[name]
            for name in ("margin", "alpha", "min_samples", "min_saving", "much_saving", "ceiling_usd", "floor",
                         "chance", "max_latency_ratio", "max_refusals", "min_kappa")
            if asked[name] is not None
        },
        "arms": {side: _arm(comparison, quality, side) for side in SIDES},
        "guardrails": list(comparison.guardrails),
        "lints": [
            {"code": lint.code, "message": lint.message[:2000], "stops": lint.stops} for lint in comparison.lints
        ],
        "harness_version": ", ".join(sorted(_settings(comparison, "harness_version")))[:2000],
        "price_version": ", ".join(sorted(_settings(comparison, "price_version")))[:2000],
    }  # fmt: skip


def _figures(quality: Quality) -> dict[str, Any]:
    found: dict[str, Any] = {
        "n": quality.n,
        "clusters": quality.clusters,
        "method": quality.method,
        "diff": _number(quality.difference),
        "interval": _ends(quality.interval),
        "m_star": _number(quality.smallest_proved_margin),
        "mcnemar_p": _number(quality.mcnemar_p),
    }
    if _counts_suffice(quality) and quality.counts is not None:
        found["counts"] = asdict(quality.counts)
    return found


def _counts_suffice(quality: Quality) -> bool:
    return quality.method == "tango"


def _arm(comparison: Comparison, quality: Quality, side: str) -> dict[str, Any]:
    spending, latency = comparison.spending, comparison.latency
    per_success: Estimate | None = getattr(spending, f"{side}_per_success") if spending else None
    found = {
        "quality": _number(getattr(quality, side)),
        "interval": _ends(getattr(quality, f"{side}_interval")),
        "cost_usd": _number(getattr(spending, f"{side}_usd")) if spending else None,
        "cost_per_success_usd": _number(per_success.value) if per_success else None,
        "latency_p50_ms": _number(getattr(latency, f"{side}_p50_ms")) if latency else None,
        "latency_p95_ms": _number(getattr(latency, f"{side}_p95_ms")) if latency else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _settings(comparison: Comparison, name: str) -> set[str]:
    samples = [*comparison.incumbent.samples.values(), *comparison.candidate.samples.values()]
    return {value for sample in samples for value in sample.settings.get(name, ())}


def _lines(comparison: Comparison) -> bytes:
    rows = sorted((*comparison.incumbent.rows, *comparison.candidate.rows), key=_order)
    return b"".join(_line(row) for row in rows)


def _order(row: Row) -> tuple[str, str, str, int]:
    return row.model, row.sample_id, row.run_id or "", row.epoch


def _line(row: Row) -> bytes:
    given = {name: getattr(row, name) for name in KEPT}
    said = {
        name: format(value, "f") if isinstance(value, Decimal) else value
        for name, value in given.items()
        if name == "success" or value not in (None, {}, "")
    }
    return (json.dumps(said, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _number(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _ends(interval: Interval) -> list[float]:
    return [_number(end) for end in interval]


def _alike(one: Any, other: Any) -> bool:
    match one, other:
        case (int() | float(), int() | float()):
            return bool(abs(one - other) <= TOLERANCE * max(1.0, abs(other)))
        case list(), list():
            return len(one) == len(other) and all(map(_alike, one, other))
        case _:
            return bool(one == other)


def _shown(value: Any) -> str:
    return "not said" if value is None else json.dumps(value, ensure_ascii=False)
