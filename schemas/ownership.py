"""Who owns a file, by the globs of `owners` in pointsman.yaml. Pure.

A glob is a path from the root of the rules: `*` and `?` stand within one folder's name, `**` at the end for everything
below. A glob that names a folder owns all that lies in it. Every team with a glob that matches owns the file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Self

from schemas.globs import covers, is_plain

Owners = Mapping[str, Iterable[str]]
"""Team to its globs."""


class UnclearGlob(ValueError):
    """A glob that cannot be read, or that cannot be compared with another; the text says what would be right."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Paths of one form: exactly these names, or everything below them."""

    names: tuple[str, ...]
    is_tree: bool

    def matches(self, path: str) -> bool:
        parts = PurePosixPath(path).parts
        fits = len(parts) > len(self.names) if self.is_tree else len(parts) == len(self.names)
        return fits and all(fnmatchcase(part, name) for part, name in zip(parts, self.names, strict=False))

    def covers(self, other: Self) -> bool:
        """Whether this surely matches all that the other does."""
        deeper = len(other.names) - len(self.names)
        # What lies below a tree begins one name deeper: `a/` does not match the file `a`.
        fits = deeper >= (0 if other.is_tree else 1) if self.is_tree else deeper == 0 and not other.is_tree
        return fits and all(covers(wide, narrow) for wide, narrow in zip(self.names, other.names, strict=False))

    def intersection(self, other: Self) -> "Pattern | None":
        """What both match, or None where nothing is.

        Raises:
            UnclearGlob: two names such as `a*` and `*b`, which overlap in more than one form.
        """
        longer, shorter = (self, other) if len(self.names) >= len(other.names) else (other, self)
        may_meet = longer.is_tree == shorter.is_tree if len(longer.names) == len(shorter.names) else shorter.is_tree
        pairs = list(zip_longest(longer.names, shorter.names, fillvalue="*"))
        if not may_meet or any(_are_apart(one, two) for one, two in pairs):
            return None
        return Pattern(tuple(_both(one, two) for one, two in pairs), longer.is_tree)


@lru_cache(maxsize=4096)
def patterns_of(glob: str) -> tuple[Pattern, ...]:
    """What a team's glob matches.

    Raises:
        UnclearGlob: it is none of ours.
    """
    *folders, last = glob.removeprefix("/").split("/")
    if any("**" in name for name in folders) or ("**" in last and last != "**"):
        raise UnclearGlob(f'"{glob}": "**" stands alone, and at the end; within a path write "*"')
    if "" in folders or {".", ".."} & {*folders, last} or set(glob) & set('[]!\\"#') or any(c.isspace() for c in glob):
        raise UnclearGlob(f'"{glob}" is not a path with "*" and "?", such as use-cases/support/**')
    if last in ("**", ""):
        return (Pattern(tuple(folders), is_tree=True),)
    exact = Pattern((*folders, last), is_tree=False)
    is_file = last == "*" or PurePosixPath(last).suffix[1:].isalpha()
    return (exact,) if is_file else (exact, Pattern(exact.names, is_tree=True))


def owners_of(path: str, owners: Owners) -> tuple[str, ...]:
    """The teams that own a file, sorted; any of them may approve its change.

    Raises:
        UnclearGlob: some glob is none of ours.
    """
    return tuple(
        sorted(
            team
            for team, globs in owners.items()
            if any(pattern.matches(path) for glob in globs for pattern in patterns_of(glob))
        )
    )


def _both(one: str, two: str) -> str:
    """The narrower of two names that are not apart."""
    for wide, narrow in ((one, two), (two, one)):
        if covers(wide, narrow):
            return narrow
    raise UnclearGlob(f'"{one}" and "{two}" overlap in part; write them so that one holds the other, or neither')


def _are_apart(one: str, two: str) -> bool:
    """Whether surely no name matches both."""
    if is_plain(one) or is_plain(two):
        return not (covers(one, two) or covers(two, one))
    return _begin_apart(one, two) or _begin_apart(one[::-1], two[::-1])


def _begin_apart(one: str, two: str) -> bool:
    for first, second in zip(one, two, strict=False):
        if {first, second} & {"*", "?"}:
            return False
        if first != second:
            return True
    return False
