"""Aliases: a model name that an agent sends must lead to one use case; a plain alias goes before a glob."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import date

from schemas.globs import covers, is_plain, stem_of
from schemas.problems import Problem
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Path

Alias = tuple[str, str]
"""What is written, and the use case that it leads to."""


def aliases_are_unambiguous(rules: RuleSet, today: date) -> Iterator[Problem]:
    earlier = _Earlier()
    for name in sorted(rules.use_cases):
        use_case = rules.use_cases[name]
        own: set[str] = set()
        for index, alias in enumerate(use_case.content.aliases):
            path: Path = ("aliases", index)
            if alias in own:
                yield use_case.problem(path, "duplicate-alias", f'"{alias}" stands here twice', severity="warning")
                continue
            own.add(alias)
            if alias != name and alias in rules.use_cases:
                message = f'"{alias}" is itself a use case, and a use case goes before an alias'
                yield use_case.problem(path, "alias-conflict", message)
            yield from _overlaps(use_case, path, alias, earlier)
        for alias in own:
            earlier.add((alias, name))


def _overlaps(use_case: RuleFile[UseCase], path: Path, alias: str, earlier: "_Earlier") -> Iterator[Problem]:
    for theirs, other in earlier.near(alias):
        if alias == theirs:
            yield use_case.problem(path, "alias-conflict", f'"{alias}" is already an alias of {other}')
        elif covers(alias, theirs) or covers(theirs, alias):
            first = "a plain alias" if is_plain(alias) or is_plain(theirs) else other
            message = f'"{alias}" overlaps with "{theirs}" of {other}; {first} goes first'
            yield use_case.problem(path, "alias-overlap", message, severity="warning")


class _Earlier:
    """Aliases seen so far, found by how they begin: whatever a glob covers begins with the glob's stem."""

    def __init__(self) -> None:
        self._sorted: list[Alias] = []
        self._by_stem: dict[str, list[Alias]] = {}

    def add(self, alias: Alias) -> None:
        insort(self._sorted, alias)
        self._by_stem.setdefault(stem_of(alias[0]), []).append(alias)

    def near(self, written: str) -> set[Alias]:
        """All that may cover it or be covered by it, and few others."""
        found: set[Alias] = set()
        stem = stem_of(written)
        for place in range(bisect_left(self._sorted, (stem,)), len(self._sorted)):
            if not self._sorted[place][0].startswith(stem):
                break
            found.add(self._sorted[place])
        for length in range(len(written) + 1):
            found.update(self._by_stem.get(written[:length], ()))
        return found
