"""Small files that must survive a crash whole: written beside, synced, renamed into place."""

import os
from pathlib import Path


def save(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replaces `path` in one step: after a crash it holds the old bytes or the new ones, never a part.

    Raises:
        OSError: the folder cannot be written; `path` is as it was.
    """
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """A rename is durable once its folder is (fsync(2), "Calling fsync() does not necessarily ensure…")."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
