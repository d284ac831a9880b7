"""Evidence files of a revision, read and held against their own places. Pure: files come in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from schemas.problems import Problem
from schemas.rules.evidence import Evidence
from schemas.rules.rule_set import RuleFile
from schemas.validate import validate_document
from schemas.yaml_source import parse_yaml

MAX_AGE_DAYS: Final = 90
"""Models and prices move every few months: what was measured before that is measured again."""


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    by_use_case: Mapping[str, Sequence[RuleFile[Evidence]]] = field(default_factory=dict)
    """The newest first."""
    problems: tuple[Problem, ...] = ()


def is_evidence(path: str) -> bool:
    match PurePosixPath(path).parts:
        case ("use-cases", _, "evidence", name):
            return name.endswith(".json")
        case _:
            return False


def evidence_name(created: object, candidate: str) -> str:
    return f"{created}-{candidate}.json"


def load_evidence(files: Mapping[str, str]) -> EvidenceFiles:
    """Every evidence file that can be read, and what is wrong with the others."""
    found: dict[str, list[RuleFile[Evidence]]] = {}
    problems: list[Problem] = []
    for file in sorted(filter(is_evidence, files)):
        document, wrong = parse_yaml(file, files[file])  # JSON is YAML, whose reader knows the place of everything.
        problems += wrong
        if document is None or is_drill(document.data):
            continue
        content, wrong = validate_document(file, "evidence", document, Evidence)
        problems += wrong
        if content is not None:
            read: RuleFile[Evidence] = RuleFile(file, content, document)
            problems += _misplaced(read)
            found.setdefault(PurePosixPath(file).parts[1], []).append(read)
    for same in found.values():
        same.sort(key=lambda read: (read.content.created, read.file), reverse=True)
    return EvidenceFiles(found, tuple(sorted(problems)))


def is_drill(data: object) -> bool:
    """An outage drill's result stands in the same folder, and says nothing of a new model."""
    return isinstance(data, dict) and data.get("kind") == "drill"


def _misplaced(read: RuleFile[Evidence]) -> list[Problem]:
    content, path = read.content, PurePosixPath(read.file)
    problems = []
    if content.use_case != path.parts[1]:
        message = f'evidence of "{content.use_case}" stands in the folder of "{path.parts[1]}"'
        problems.append(
            read.problem(("use_case",), "evidence-misplaced", message, "evidence counts for its own use case")
        )
    expected = evidence_name(content.created, content.candidate)
    if path.name != expected:
        message = f'"{path.name}" holds the evidence of {content.created} for "{content.candidate}"'
        problems.append(read.problem(("candidate",), "evidence-misplaced", message, f"name it {expected}"))
    return problems
