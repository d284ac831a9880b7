"""Eval files of a rules folder, read for `check` and `eval run` alone: what serves rules never opens them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from schemas.eval_set import MAX_SET_BYTES


def read_eval_files(root: Path, use_case: str | None = None) -> dict[str, str]:
    """Repository path to text of all that lies in `eval` folders, or in that of one use case.

    Bytes that are not UTF-8 are kept, for whoever reads them as JSON or YAML to report; links are left alone, and of a
    file that is too large no more is read than shows it.

    Raises:
        OSError: a file cannot be read.
    """
    files: dict[str, str] = {}
    for folder in _folders(root, use_case):
        for parent, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
            for name in sorted(names):
                path = Path(parent, name)
                if not name.startswith(".") and stat.S_ISREG(path.lstat().st_mode):
                    files[path.relative_to(root).as_posix()] = _read(path)
    return files


def _folders(root: Path, use_case: str | None) -> Iterator[Path]:
    top = root / "use-cases"
    named = sorted(path.name for path in top.iterdir()) if use_case is None and top.is_dir() else [use_case or ""]
    yield from (top / name / "eval" for name in named if name and (top / name / "eval").is_dir())


def _read(path: Path) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read(MAX_SET_BYTES + 1).decode("utf-8-sig", "surrogateescape")
