"""What a conversion gives: rule files, and every key that they do not say, with its line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.yaml_source import Document, Path


class NotAConfig(Exception):
    """The text is not such a configuration; the message says where and why."""


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One key of the configuration that no rule file says, or says otherwise. Its value is never repeated: it may be a
    secret."""

    line: int
    """From 1."""
    key: str
    """`model_list[0].litellm_params.temperature`."""
    says: str
    needs_you: bool
    """Whether somebody has to do something, or only should know."""


@dataclass(frozen=True, slots=True)
class Converted:
    """Rule files by their path in a rules repository."""

    files: Mapping[str, str]
    notes: tuple[Note, ...]


@dataclass(slots=True)
class Notebook:
    """Collects notes on one document."""

    document: Document
    _notes: set[Note] = field(default_factory=set)

    def add(self, path: Path, says: str, *, needs_you: bool = True) -> None:
        line = self.document.place_of_key(path)[0]
        self._notes.add(Note(line, shown(path), says, needs_you))

    def notes(self) -> tuple[Note, ...]:
        return tuple(sorted(self._notes))


def shown(path: Path) -> str:
    """`("model_list", 0, "model_name")` as `model_list[0].model_name`."""
    parts = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return parts.removeprefix(".")


def is_done(says: str) -> bool:
    """Whether nothing is asked of anybody."""
    return says.startswith("nothing to do")
