"""What can be said about two globs without trying names."""

import re
from fnmatch import fnmatchcase

_WILD = frozenset("*?[")
_STEM = re.compile(r"[^*?\[]*")


def is_plain(glob: str) -> bool:
    """Whether it matches nothing but itself."""
    return not _WILD & set(glob)


def stem_of(glob: str) -> str:
    """The text before its first wild card: whatever it matches begins so."""
    return _STEM.match(glob)[0]  # type: ignore[index]  # it matches any text


def covers(wide: str, narrow: str) -> bool:
    """Whether all that `narrow` matches is surely matched by `wide`. False where it cannot be told."""
    if wide in ("*", narrow):
        return True
    if is_plain(narrow):
        return fnmatchcase(narrow, wide)
    stem = wide[:-1]
    return wide.endswith("*") and is_plain(stem) and narrow.startswith(stem)
