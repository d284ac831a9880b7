"""What a rules folder changes against a commit: read from the repository that it lies in, without a network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from controller.errors import SourceUnavailable
from controller.git import LocalRepository
from controller.tree import Tree
from schemas.evidence_files import MAX_AGE_DAYS


@dataclass(frozen=True, slots=True)
class Changes:
    base: Tree
    """The rules where this change began: at the last commit that both have."""
    files: frozenset[str]
    """Paths inside the rules folder that were added, altered or removed: of committed ones every file, of others the
    rule files."""
    earlier: Mapping[str, Sequence[str]]
    """Of each use case whose file changed: what that file said at the base within the age of evidence."""


async def changes_since(folder: Path, ref: str, files: Mapping[str, str]) -> Changes:
    """The change from `ref` to what lies in the folder now.

    Args:
        files: the folder's rule files as they are.

    Raises:
        SourceUnavailable: the folder is in no repository, or there is no such commit in it.
    """
    top, inside = _place_of(folder)
    repository = LocalRepository(top, ref="HEAD", folder=inside)
    base = await repository.common_commit(ref)
    tree = await repository.read(base)
    committed = await repository.changed_files(base)
    uncommitted = {name for name in {*tree.files, *files} if tree.files.get(name) != files.get(name)}
    changed = frozenset(committed | uncommitted)
    return Changes(tree, changed, await _earlier(repository, base, changed))


async def _earlier(repository: LocalRepository, base: str, changed: Iterable[str]) -> dict[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for file in sorted(changed):
        match PurePosixPath(file).parts:
            case ("use-cases", name, "use-case.yaml"):
                found[name] = await repository.earlier_versions(base, file, days=MAX_AGE_DAYS)
            case _:
                pass
    return found


def _place_of(folder: Path) -> tuple[Path, str]:
    """The repository's top folder, and where in it this one lies."""
    whole = folder.resolve()
    for top in (whole, *whole.parents):
        if (top / ".git").exists():
            return top, whole.relative_to(top).as_posix()
    raise SourceUnavailable(f"{folder} is in no git repository, so that it has no base")
