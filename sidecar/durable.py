"""One small file, written so that a crash leaves the old one or the new one, whole."""

import os
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Temporary file, fsync, rename, fsync of the folder. Readable by its owner only. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
