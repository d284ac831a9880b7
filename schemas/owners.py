"""Who owns a file of the rules: the globs of `owners` in pointsman.yaml, matched against paths."""

import re
from collections.abc import Mapping, Sequence
from functools import cache


def owners_of(path: str, owners: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Teams that own a path of the rules repository, in the order in which they are listed."""
    return tuple(team for team, globs in owners.items() if any(owns(glob, path) for glob in globs))


def owns(glob: str, path: str) -> bool:
    """`*` and `?` stay within a folder, `**` goes through all; `use-cases/chat/` is everything in that folder."""
    return _pattern(glob).fullmatch(path) is not None


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", f"{glob}**" if glob.endswith("/") else glob)
    return re.compile("".join(_WILD.get(part, re.escape(part)) for part in parts), re.DOTALL)


_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
