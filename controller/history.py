"""What became of a use case, commit by commit and by meaning; and its rules as a revision has them."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, TypeVar

from controller.errors import Refused, SourceUnavailable
from controller.plan.changes import Change, changes_between
from controller.tree import Commit, Source, Tree
from schemas.bundle import Bundle, models_named
from schemas.compile import compile_bundle
from schemas.evidence_files import load_evidence
from schemas.load import PLATFORM_FILE, load
from schemas.rules.evidence import Evidence
from schemas.rules.rule_set import RuleFile, RuleSet

K = TypeVar("K")
V = TypeVar("V")

COMMITS: Final = 12
"""Of a use case's history that are shown."""
REMEMBERED_RULES: Final = 4
"""Rule sets of whole revisions: some megabytes each."""
REMEMBERED_STEPS: Final = 512
NOTHING: Final = Tree("", {PLATFORM_FILE: "schema: 1"})
"""Before the first commit."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the files of one revision say."""

    rules: RuleSet | None
    """None: they cannot be read as rules."""
    evidence: dict[str, Sequence[RuleFile[Evidence]]]
    """By use case, the newest first."""


@dataclass(frozen=True, slots=True)
class Step:
    commit: Commit
    changes: Sequence[Change]
    """Of the use case and of what it uses; none: what the commit touched means the same as before."""
    trouble: str = ""
    """Why its changes cannot be told."""


class History:
    """Asks the source and remembers what never changes: what a commit says, and what it changed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._written: OrderedDict[str, Written] = OrderedDict()
        self._steps: OrderedDict[tuple[str, ...], Step] = OrderedDict()

    async def written(self, revision: str, today: date) -> Written:
        """Raises `SourceUnavailable`, `Refused`."""
        known = self._written.get(revision)
        if known is None:
            tree = await self._source.look_back(revision)
            known = await asyncio.to_thread(_written, tree, today)
            _remember(self._written, revision, known, REMEMBERED_RULES)
        return known

    async def steps(self, use_case: str, bundle: Bundle) -> list[Step]:
        """The newest first, up to the revision of the bundle. Raises `SourceUnavailable`."""
        paths = files_of(use_case, bundle)
        commits = await self._source.history(bundle.revision, paths, COMMITS)
        return [await self._step(use_case, commit, paths) for commit in commits]

    async def _step(self, use_case: str, commit: Commit, paths: Sequence[str]) -> Step:
        key = (commit.revision, *paths)
        known = self._steps.get(key)
        if known is not None:
            return Step(commit, known.changes, known.trouble)
        try:
            after = await self._source.look_back(commit.revision)
            before = await self._source.look_back(commit.before) if commit.before else NOTHING
        except (SourceUnavailable, Refused) as error:
            return Step(commit, (), f"{error}")
        step = await asyncio.to_thread(_step_between, use_case, commit, before, after, paths)
        _remember(self._steps, key, step, REMEMBERED_STEPS)
        return step


def files_of(use_case: str, bundle: Bundle) -> list[str]:
    """The files and folders that say what becomes of its calls."""
    found = bundle.use_cases.get(use_case)
    models = sorted({name for name in models_named(found) if name}) if found is not None else []
    doors = [door for name in models if name in bundle.models for door in bundle.models[name].served_by]
    providers = sorted({door.provider for door in doors})
    return [
        f"use-cases/{use_case}", PLATFORM_FILE, *(f"models/{name}.yaml" for name in models),
        *(f"providers/{name}.yaml" for name in providers),
    ]  # fmt: skip


def _written(tree: Tree, today: date) -> Written:
    return Written(load(tree.files, today=today, revision=tree.revision).rule_set,
                   dict(load_evidence(tree.files).by_use_case))  # fmt: skip


def _step_between(use_case: str, commit: Commit, before: Tree, after: Tree, paths: Sequence[str]) -> Step:
    day = datetime.fromisoformat(commit.at).astimezone(UTC).date()
    sides = [_side(use_case, tree, day) for tree in (before, after)]
    if any(side is None for side in sides):
        return Step(commit, (), "its rules, or those before them, cannot be read")
    (old, old_rules), (new, new_rules) = (side for side in sides if side is not None)
    ours = {*paths, f"use-cases/{use_case}/use-case.yaml"}
    changes = changes_between(old, new, old_rules, new_rules)
    return Step(commit, [change for change in changes if change.file in ours and change.kind != "caller"])


def _side(use_case: str, tree: Tree, day: date) -> tuple[Bundle, RuleSet] | None:
    """Without the other use cases, and whatever problems it has: it is looked at, not run."""
    files = {
        path: text for path, text in tree.files.items()
        if not path.startswith("use-cases/") or path.startswith(f"use-cases/{use_case}/")
    }  # fmt: skip
    rules = load(files, today=day, revision=tree.revision).rule_set
    return None if rules is None else (compile_bundle(rules), rules)


def _remember(memory: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    memory[key] = value
    while len(memory) > most:
        memory.popitem(last=False)
