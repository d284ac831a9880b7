"""No change of which model answers without evidence for exactly that: what a change lacks, as problems. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from controller.evals.evidence import differences
from controller.evals.moves import Choices, Move, choices_in_bundle, choices_in_file, moves_between
from schemas.bundle import Bundle
from schemas.checks.emergencies import MAX_DAYS
from schemas.checks.ownership import clear_owners
from schemas.checks.severity import STRICT_CLASSES
from schemas.evidence_files import MAX_AGE_DAYS
from schemas.ownership import owners_of
from schemas.problems import Problem, Severity
from schemas.rules.evidence import Evidence
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase

Before = Mapping[str, Choices]
"""By use case, what held until now."""


@dataclass(frozen=True, slots=True)
class Proofs:
    """What evidence is held against."""

    by_use_case: Mapping[str, Sequence[RuleFile[Evidence]]]
    set_hashes: Mapping[str, str] | None = None
    """By use case, of its eval set as it lies; None: sets are not at hand, and nothing is said of them."""
    margins: Mapping[str, Decimal] = field(default_factory=dict)
    """By use case, the widest margin that its graders' file allows."""
    results: Callable[[str], bytes | None] = field(default=lambda file: None)
    """A committed results file by its path; None: it is not at hand."""
    earlier: Callable[[str], Iterable[Choices]] = field(default=lambda use_case: ())
    """What ran of a use case before, within the age of evidence: the way back to it is open."""


@dataclass(frozen=True, slots=True)
class Found:
    """One change, and the evidence for it. No problem: it passes."""

    use_case: str
    move: Move
    file: str
    """Empty: there is none."""
    problems: tuple[Problem, ...]


def before_in_rules(rules: RuleSet) -> Before:
    return {name: choices_in_file(read.content) for name, read in rules.use_cases.items()}


def before_in_bundle(bundle: Bundle) -> Before:
    return {name: choices_in_bundle(use_case) for name, use_case in bundle.use_cases.items()}


def evidence_problems(before: Before, after: RuleSet, proofs: Proofs, today: date) -> Iterator[Problem]:
    for found in findings(before, after, proofs, today):
        yield from found.problems


def findings(before: Before, after: RuleSet, proofs: Proofs, today: date) -> Iterator[Found]:
    """Of each change that asks for evidence; a use case's first adoption does not."""
    for name, use_case in sorted(after.use_cases.items()):
        if name not in before:
            continue
        now = choices_in_file(use_case.content)
        moves = list(dict.fromkeys(moves_between(before[name], now)))
        if moves and not any(is_way_back(past, now) for past in proofs.earlier(name)):
            for move in moves:
                severity = _severity(before[name], use_case.content, move, today)
                yield _found(name, use_case, move, _Case(after, proofs, today, severity))


def is_way_back(past: Choices, now: Choices) -> bool:
    """What was allowed to run lately may run again, whatever has become of its evidence."""
    return next(moves_between(past, now), None) is None


@dataclass(frozen=True, slots=True)
class _Case:
    after: RuleSet
    proofs: Proofs
    today: date
    severity: Severity


def _severity(before: Choices, content: UseCase, move: Move, today: date) -> Severity:
    """Of the stricter class: no change takes itself out of what holds for it."""
    emergency = content.emergency
    if emergency is not None and today <= emergency.expires <= today + timedelta(days=MAX_DAYS):
        return "warning"
    is_strict = not STRICT_CLASSES.isdisjoint((before.kind, content.kind))
    return "error" if is_strict and move.kind != "fallback" else "warning"


def _found(name: str, use_case: RuleFile[UseCase], move: Move, case: _Case) -> Found:
    pair = move.incumbent, move.candidate
    files = [
        read
        for read in case.proofs.by_use_case.get(name, ())
        if (read.content.use_case, read.content.incumbent, read.content.candidate) == (name, *pair)
    ]
    if not files:
        message = f"no evidence for {move}"
        how = f"run both on one set, then: pointsman eval propose --use-case {name} --incumbent FILE --candidate FILE"
        problem = use_case.problem(move.path, "evidence-missing", message, how, severity=case.severity)
        return Found(name, move, "", (problem,))
    # One good file is enough; where none is, the newest says why.
    tried = [(read.file, tuple(_against(read, move, case))) for read in files]
    file, problems = next((one for one in tried if not one[1]), tried[0])
    return Found(name, move, file, problems)


def _against(read: RuleFile[Evidence], move: Move, case: _Case) -> Iterator[Problem]:
    for problem in (
        *_of_its_age(read, case.today),
        *_of_its_set(read, case.proofs),
        *_of_its_figures(read, case.proofs),
        *_of_its_lints(read, case.after),
        *_of_its_margin(read, case.proofs),
        *_of_its_verdict(read, move),
    ):
        yield replace(problem, severity=case.severity)


def _of_its_age(read: RuleFile[Evidence], today: date) -> Iterator[Problem]:
    created = read.content.created
    age = (today - created).days
    if age > MAX_AGE_DAYS:
        message = f"{age} days old; evidence counts for {MAX_AGE_DAYS}"
        yield read.problem(("created",), "evidence-too-old", message, "measure again")
    elif age < -1:  # a day's grace for whoever wrote it further east
        yield read.problem(
            ("created",), "evidence-too-old", f"made on {created}, which is yet to come", "measure again"
        )


def _of_its_set(read: RuleFile[Evidence], proofs: Proofs) -> Iterator[Problem]:
    measured = read.content.set_hash
    if proofs.set_hashes is None or measured == proofs.set_hashes.get(read.content.use_case):
        return
    if read.content.use_case not in proofs.set_hashes:
        message, suggestion = "measured on an eval set that is not here", "commit set.jsonl and graders.yaml in eval/"
    elif measured is None:
        message, suggestion = "it does not say which eval set was asked", "measure by `pointsman eval run`"
    else:
        message, suggestion = "the eval set or its graders have changed since", "measure again, on what lies in eval/"
    yield read.problem(("set_hash",), "evidence-of-other-set", message, suggestion)


def _of_its_margin(read: RuleFile[Evidence], proofs: Proofs) -> Iterator[Problem]:
    asked, allowed = read.content.asked.margin, proofs.margins.get(read.content.use_case)
    if allowed is not None and asked > allowed:
        message = f"asked with a margin of {asked}, and graders.yaml allows {allowed}"
        yield read.problem(("asked", "margin"), "evidence-against", message, "compare with what the graders' file says")


def _of_its_figures(read: RuleFile[Evidence], proofs: Proofs) -> Iterator[Problem]:
    name = read.content.results.file
    results = None if name is None else proofs.results(f"{read.file.rpartition('/')[0]}/{name}")
    if name is not None and results is None and proofs.set_hashes is not None:
        message = f"{name} is not here, so that nothing can be computed again"
        yield read.problem(("results",), "evidence-differs", message, "commit it beside the evidence")
        return
    for key, difference in differences(read.content, results):
        yield read.problem((key,), "evidence-differs", difference, "leave it as `pointsman eval propose` wrote it")


def _of_its_lints(read: RuleFile[Evidence], after: RuleSet) -> Iterator[Problem]:
    evidence, owners = read.content, clear_owners(after.platform.content)
    for code in (lint.code for lint in evidence.lints if lint.stops):
        team = evidence.accepted.get(code)
        if team is None:
            suggestion = "mend the data, or let a team accept it by its name"
            yield read.problem(("lints",), "evidence-in-doubt", f"nobody accepts {code}", suggestion)
        elif owners and team not in owners_of(f"use-cases/{evidence.use_case}/use-case.yaml", owners):
            message = f"{code} is accepted by {team}, which does not own {evidence.use_case}"
            suggestion = "a team that owns the use case must accept it"
            yield read.problem(("accepted", code), "evidence-in-doubt", message, suggestion)


def _of_its_verdict(read: RuleFile[Evidence], move: Move) -> Iterator[Problem]:
    evidence = read.content
    permits = (evidence.action, *evidence.also)
    if move.permitted_by.isdisjoint(permits):
        said = " and ".join(PERMITS[one] for one in permits)
        message = f"{evidence.verdict.replace('_', '-')}, which permits {said}; it does not permit {move}"
        yield read.problem(("action",), "evidence-against", message, "change what it permits, or measure more samples")


PERMITS: Final[Mapping[str, str]] = {
    "promote": "promotion",
    "quality_fallback": "a better model of the quality bar",
    "cost_fallback": "a cheaper model of the cost ceiling",
    "need_more": "a canary",
    "keep": "to keep the incumbent",
    "diversity_fallback": "a fallback",
    "split": "a split by slices",
    "cascade": "a cascade",
}
"""In words."""
