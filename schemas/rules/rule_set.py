"""All rule files of one revision, each with its path and its places, so that a finding can say where it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from schemas.problems import Problem, Severity
from schemas.rules.drill import DrillResult
from schemas.rules.evidence import Evidence
from schemas.rules.graders import Graders
from schemas.rules.model import Model
from schemas.rules.platform import Platform
from schemas.rules.provider import Provider
from schemas.rules.rule_tests import RuleTests
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Document, Path

Content = TypeVar("Content", Provider, Model, UseCase, RuleTests, Platform, Graders, Evidence, DrillResult)


@dataclass(frozen=True, slots=True)
class RuleFile(Generic[Content]):
    """One file: what it says, and where each part of it stands."""

    file: str
    content: Content
    document: Document

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        suggestion: str = "",
        *,
        severity: Severity = "error",
        at_key: bool = False,
    ) -> Problem:
        """A finding at `path`; `at_key` points at the key instead of its value."""
        line, column = self.document.place_of_key(path) if at_key else self.document.place_of(path)
        return Problem(self.file, line, column, code, severity, message, suggestion, written(path))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What the files of one revision say. Names are those inside the files."""

    revision: str
    platform: RuleFile[Platform]
    providers: Mapping[str, RuleFile[Provider]]
    models: Mapping[str, RuleFile[Model]]
    use_cases: Mapping[str, RuleFile[UseCase]]
    tests: Mapping[str, RuleFile[RuleTests]]
    """By use case."""
    unreadable: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Folder (`providers`, `models`, `use-cases`) to names whose file has problems of its own: known, no more."""

    def provider_names(self) -> frozenset[str]:
        return frozenset(self.providers) | self.unreadable.get("providers", frozenset())

    def model_names(self) -> frozenset[str]:
        return frozenset(self.models) | self.unreadable.get("models", frozenset())

    def use_case_names(self) -> frozenset[str]:
        return frozenset(self.use_cases) | self.unreadable.get("use-cases", frozenset())


def written(path: Path) -> str:
    """`rules[0].when.input_tokens`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
