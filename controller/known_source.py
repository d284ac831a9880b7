"""What a source on this machine was when it was last there. One that is away when a controller starts is waited
for, and what ran goes on meanwhile. One that was never there is a mistake in a flag."""

from pathlib import Path
from typing import Final

import msgspec

from controller import files

NAME: Final = "source.json"


class KnownSource(msgspec.Struct, frozen=True):
    path: str
    """As `--repo` names it, made absolute."""
    git: str = ""
    """The folder of git's own files; empty: the source is a plain folder."""


def note_source(state: Path, known: KnownSource) -> None:
    """Raises OSError."""
    if recall_source(state, Path(known.path)) != known:
        files.save(state / NAME, msgspec.json.encode(known))


def recall_source(state: Path, path: Path) -> KnownSource | None:
    """None: this controller has not read from there before, or what it noted cannot be read."""
    try:
        known = msgspec.json.decode((state / NAME).read_bytes(), type=KnownSource)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return known if known.path == str(path) else None
