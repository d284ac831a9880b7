"""A finding in a rule file: where it is, what is wrong, and what would be right."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Errors keep the last good rules running; warnings never block."""

    file: str
    """Path inside the rules repository, with `/`."""
    line: int
    """From 1; 0 when the finding is about the file as a whole."""
    column: int
    """From 1; 0 when the finding is about the file as a whole."""
    code: str
    """Stable kebab-case word, e.g. `unknown-model`."""
    severity: Severity
    message: str
    suggestion: str = ""
    """What would be right, where it can be said."""
    path: str = ""
    """Where in the document: `rules[0].when.input_tokens`."""

    def __str__(self) -> str:
        tail = f"; {self.suggestion}" if self.suggestion else ""
        place = f"  {self.path}" if self.path else ""
        return f"{self.file}:{self.line}:{self.column}{place}  {self.severity}[{self.code}] {self.message}{tail}"


def has_errors(problems: Iterable[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "claude-fast"?`, or nothing when no known word is close."""
    near = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""
