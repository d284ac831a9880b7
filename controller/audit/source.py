"""The files of a code repository that may call a model, and what of them is code: comments are taken out."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.audit.signs import Language

MAX_BYTES: Final = 1 << 20
"""People write no longer files; a bundle or a data set may be."""
LANGUAGES: Final[dict[str, Language]] = {
    ".py": "python", ".ts": "javascript", ".tsx": "javascript", ".mts": "javascript", ".js": "javascript",
    ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".go": "go", ".java": "java", ".kt": "java",
    ".scala": "java", ".yaml": "data", ".yml": "data", ".toml": "data", ".json": "data", ".properties": "data",
    ".env": "data", ".tf": "data", ".tfvars": "data", ".ini": "data", ".cfg": "data",
}  # fmt: skip
MANIFESTS: Final = frozenset(
    {"pyproject.toml", "setup.py", "requirements.txt", "package.json", "go.mod", "pom.xml", "build.gradle",
     "build.gradle.kts", "Dockerfile"}
)  # fmt: skip
"""Where one of these lies, a service of its own begins."""
SKIPPED: Final = frozenset(
    {".git", "node_modules", ".venv", "venv", "vendor", "dist", "build", "target", "__pycache__", "site-packages",
     ".tox", ".mypy_cache", ".next", "third_party"}
)  # fmt: skip
_LOCKS: Final = frozenset({"package-lock.json", "npm-shrinkwrap.json", "composer.lock", "tsconfig.json"})
_TESTS: Final = re.compile(
    r"(^|/)(tests?|__tests__|testdata|fixtures|mocks?|spec)/|(^|/)test_[^/]*$|_test\.\w+$|[.](test|spec)\.\w+$|Tests?\.java$"
)
_SLASHES: Final = re.compile(
    r'("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|`(?:\\.|[^`\\])*`)|//[^\n]*|/\*.*?\*/', re.DOTALL
)
_HASHES: Final = re.compile(r"(\"(?:\\.|[^\"\\\n])*\"|'(?:[^'\n])*')|(?:(?<=\s)|^)#[^\n]*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SourceFile:
    path: str
    """Inside its repository, with `/`."""
    language: Language
    text: str

    @property
    def is_test(self) -> bool:
        """What only tests name is not in use."""
        return _TESTS.search(self.path) is not None


@dataclass(frozen=True, slots=True)
class Listing:
    paths: tuple[str, ...]
    """All files, also those that are not read."""

    def services(self) -> frozenset[str]:
        """The folders that hold a manifest; the root is the empty text."""
        return frozenset(os.path.dirname(path) for path in self.paths if os.path.basename(path) in MANIFESTS)


def list_files(root: Path) -> Listing:
    """What git tracks and what is new and not ignored; in a folder without git, everything."""
    if (root / ".git").exists():
        # What a repository's own settings name is not run.
        git = ["git", "-c", "core.fsmonitor=false", "-C", str(root)]
        words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run([*git, *words], capture_output=True, check=False)
        if done.returncode == 0:
            names = (os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
            return Listing(tuple(sorted({name for name in names if not SKIPPED.intersection(name.split("/")[:-1])})))
    return Listing(tuple(sorted(_walked(root))))


def _walked(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED]
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")


def language_of(path: str) -> Language | None:
    """None: such files are not read."""
    name = os.path.basename(path)
    if name in _LOCKS or ".min." in name:
        return None
    if name == ".env" or name.startswith(".env."):
        return "data"
    return LANGUAGES.get(os.path.splitext(name)[1].lower())


def read_source(root: Path, path: str) -> SourceFile | None:
    """None for what is not text of ours: too large, a link, unreadable, or in no language that is known here."""
    language = language_of(path)
    full = root / path
    try:
        # A pipe would be waited for.
        if language is None or full.is_symlink() or not full.is_file():
            return None
        if full.stat().st_size > MAX_BYTES:
            return None
        return SourceFile(path, language, full.read_bytes().decode("utf-8", errors="replace"))
    except OSError:
        return None


def without_comments(source: SourceFile) -> str:
    """The same lines, with white space where comments stood. Python is read by its own grammar and not by this."""
    pattern = _HASHES if source.language == "data" else _SLASHES
    if source.path.endswith(".json"):
        return source.text
    return pattern.sub(lambda found: found[0] if found[1] else re.sub(r"[^\n]", " ", found[0]), source.text)
