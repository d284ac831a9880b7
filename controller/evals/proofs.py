"""What a change is held against, read: evidence, eval sets, results and earlier rules of a folder or of what ran."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

from controller.changes import Changes
from controller.evals.gate import Found, Proofs, before_in_bundle, before_in_rules, evidence_problems, findings
from controller.evals.moves import Choices, choices_in_file
from schemas.bundle import Bundle
from schemas.eval_files import eval_folders, load_eval
from schemas.evidence_files import load_evidence
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet
from schemas.rules.use_case import UseCase
from schemas.validate import validate_document
from schemas.yaml_source import parse_yaml

MAX_RESULTS_BYTES = 64 << 20


def findings_in_folder(
    folder: Path,
    files: Mapping[str, str],
    eval_files: Mapping[str, str],
    changes: Changes,
    before: RuleSet,
    after: RuleSet,
    today: date,
) -> tuple[Found, ...]:
    """Of a change that lies in a folder: everything is at hand and computed again.

    Args:
        files: the rule files as they lie, evidence among them.
        eval_files: what lies in `eval` folders.
    """
    hashes, margins = {}, {}
    for use_case, below in eval_folders(eval_files).items():
        eval_set, _ = load_eval(use_case, below, after)
        if eval_set is not None:
            hashes[use_case] = eval_set.hash
            if (margin := eval_set.graders.decision.margin) is not None:
                margins[use_case] = margin
    proofs = Proofs(
        load_evidence(files).by_use_case,
        set_hashes=hashes,
        margins=margins,
        results=lambda file: _read(folder / file),
        earlier=lambda name: _choices(changes.earlier.get(name, ())),
    )
    return tuple(findings(before_in_rules(before), after, proofs, today))


def problems_against_running(
    files: Mapping[str, str], after: RuleSet, running: Bundle, earlier: Sequence[Bundle], today: date
) -> tuple[Problem, ...]:
    """Of a revision against what runs. Eval sets and results are no rule files, so that nothing is said of them here;
    `check` holds evidence against them.

    Args:
        earlier: bundles that passed before: the way back to them is open.
    """
    past = [before_in_bundle(bundle) for bundle in earlier]
    proofs = Proofs(
        load_evidence(files).by_use_case, earlier=lambda name: [choices[name] for choices in past if name in choices]
    )
    return tuple(evidence_problems(before_in_bundle(running), after, proofs, today))


def _choices(texts: Iterable[str]) -> Iterator[Choices]:
    for text in texts:
        document, _ = parse_yaml("", text)
        if document is not None:
            content, _ = validate_document("", "use-case", document, UseCase)
            if content is not None:
                yield choices_in_file(content)


def _read(path: Path) -> bytes | None:
    with suppress(OSError), os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        data = file.read(MAX_RESULTS_BYTES + 1)
        return data if len(data) <= MAX_RESULTS_BYTES else None
    return None
