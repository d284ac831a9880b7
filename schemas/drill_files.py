"""Results of outage drills beside use cases: read, and asked for where customers would feel the outage. Pure."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import PurePosixPath

from pydantic import ValidationError

from schemas.checks.severity import STRICT_CLASSES
from schemas.evidence_files import is_drill, is_evidence
from schemas.problems import Problem
from schemas.rules.drill import DrillResult
from schemas.rules.rule_set import RuleFile, RuleSet, written
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Document, Path, parse_yaml


def drill_problems(files: Mapping[str, str], rules: RuleSet | None, today: date) -> tuple[Problem, ...]:
    """What is wrong with results, and which use cases have none that still holds."""
    problems: list[Problem] = []
    results: list[RuleFile[DrillResult]] = []
    for file in sorted(filter(is_evidence, files)):
        document, _ = parse_yaml(file, files[file])  # What is no JSON is told of where evidence is read.
        if document is not None and is_drill(document.data):
            read, wrong = _read(file, document)
            problems += wrong
            results += read
    if rules is not None:
        for use_case in rules.use_cases.values():
            problems += _not_rehearsed(use_case, rules, results, today)
    return tuple(sorted(problems))


def _read(file: str, document: Document) -> tuple[list[RuleFile[DrillResult]], list[Problem]]:
    """One of them is empty."""
    try:
        read = RuleFile(file, DrillResult.model_validate(document.data), document)
    except ValidationError as error:
        return [], [_unreadable(file, document, one["loc"], one["msg"]) for one in error.errors()]
    folder = PurePosixPath(file).parts[1]
    if read.content.use_case == folder:
        return [read], []
    message = f'the drill of "{read.content.use_case}" stands in the folder of "{folder}"'
    return [], [read.problem(("use_case",), "evidence-misplaced", message, "a drill counts for its own use case")]


def _unreadable(file: str, document: Document, path: Path, what: str) -> Problem:
    line, column = document.place_of(path)
    message = f"not the result of a drill: {what[:1].lower()}{what[1:]}"
    return Problem(file, line, column, "drill-unreadable", "error", message, "rehearse it again", written(path))


def _not_rehearsed(
    use_case: RuleFile[UseCase], rules: RuleSet, results: list[RuleFile[DrillResult]], today: date
) -> Iterator[Problem]:
    content = use_case.content
    primary = rules.models.get(content.primary)
    if content.kind not in STRICT_CLASSES or primary is None:
        return
    serving = {content.primary, *(served.provider for served in primary.content.served_by)}
    own = [one for one in results if one.content.use_case == content.use_case and serving & set(one.content.down)]
    suggestion = f"pointsman drill --vendor {primary.content.vendor} --write"
    if not own:
        message = f'no outage of "{content.primary}" was rehearsed'
        yield use_case.problem(("primary",), "drill-missing", message, suggestion, severity="warning")
        return
    last = max(own, key=lambda one: one.content.expires)
    if last.content.expires < today:
        message = f'the drill without "{content.primary}" expired on {last.content.expires}'
        yield last.problem(("expires",), "drill-expired", message, suggestion, severity="warning")
