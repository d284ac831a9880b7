"""The rule files of one revision, as text, and the bounds they are read within. Where they come from is a `Source`."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.load import is_rule_file, is_rule_folder
from schemas.problems import Problem, Severity

MAX_FILE_BYTES = 1 << 20
"""One rule file; people write these by hand."""
MAX_TREE_BYTES = 32 << 20
"""All rule files together; a bundle is bounded at half of that."""
MAX_FILES = 20_000


@dataclass(frozen=True, slots=True)
class Tree:
    revision: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Path inside the rules folder, with `/`, to its text."""
    problems: tuple[Problem, ...] = ()
    """What could not be read, and what was left out."""
    is_urgent: bool = False
    """Its commit asks for the shorter rollout."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it is listed, before a byte of it is read."""

    path: str
    size: int
    is_regular: bool
    """False for a symbolic link or a submodule: neither is followed."""
    handle: str = ""
    """How its source finds it again: a git object id."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of a source's history."""

    revision: str
    before: str
    """The revision that it changed; empty: it is the first one."""
    at: str
    """RFC 3339, as its author's clock said."""
    author: str
    title: str
    files: Sequence[str]
    """Those that were asked for and that it touched, inside the rules folder."""


class Source(Protocol):
    """Where rules come from. Every method raises `SourceUnavailable` when it cannot say."""

    @property
    def name(self) -> str:
        """For people: a URL without credentials, or a path."""

    @property
    def retry_seconds(self) -> float:
        """How soon to try again what failed, when nothing new was seen."""

    def looks(self) -> AsyncGenerator[None, None]:
        """Yields at once, and then whenever there may be something new."""

    async def fetch(self) -> str:
        """The newest revision."""

    async def read(self, revision: str) -> Tree:
        """The rule files of a revision that `fetch` named."""

    async def follows(self, revision: str, before: str) -> bool:
        """Whether the history of a revision that was read holds an earlier one."""

    async def history(self, revision: str, paths: Sequence[str], most: int) -> Sequence[Commit]:
        """The commits up to a revision that touched one of these files or folders, the newest first; empty where the
        source has none."""

    async def look_back(self, revision: str) -> Tree:
        """The rule files of any revision, for people to look at: whoever signed it, nothing runs by what it says."""


def select(entries: Iterable[Entry]) -> tuple[list[Entry], list[Problem]]:
    """The rule files that may be read, and a problem for each that may not. Other files are passed over."""
    chosen: list[Entry] = []
    problems: list[Problem] = []
    total = 0
    for entry in entries:
        if not is_rule_file(entry.path) and (entry.is_regular or not is_rule_folder(entry.path)):
            continue
        if not entry.is_regular:
            # An error: whoever put it there believes that the rules behind it run, and they would be gone.
            problems.append(about(entry.path, "not-a-file", "a symbolic link or a submodule is not followed"))
        elif entry.size > MAX_FILE_BYTES:
            problems.append(
                about(entry.path, "file-too-large", f"{entry.size} bytes; at most {MAX_FILE_BYTES} are read")
            )
        else:
            chosen.append(entry)
            total += entry.size
    if len(chosen) > MAX_FILES or total > MAX_TREE_BYTES:
        return [], [too_large(f"{len(chosen)} rule files of {total} bytes")]
    return chosen, [*problems, *_collisions(chosen)]


def _collisions(chosen: Iterable[Entry]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for entry in chosen:
        other = first.setdefault(entry.path.casefold(), entry.path)
        if other != entry.path:
            yield about(entry.path, "case-collision", f"on many machines this is the same file as {other}")


def tree_of(revision: str, contents: Mapping[str, bytes], problems: Iterable[Problem]) -> Tree:
    """Bytes to text; a file that is not UTF-8 is a problem of its own."""
    texts: dict[str, str] = {}
    found = list(problems)
    for path, data in sorted(contents.items()):
        try:
            texts[path] = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
            found.append(Problem(path, line, column, "not-utf8", "error", "not UTF-8 text"))
    return Tree(revision, texts, tuple(found))


def too_large(found: str) -> Problem:
    """Of all files together."""
    return about(".", "tree-too-large", f"{found}; at most {MAX_FILES} files of {MAX_TREE_BYTES} bytes are read")


def about(path: str, code: str, message: str, severity: Severity = "error") -> Problem:
    return Problem(path, 0, 0, code, severity, message)
