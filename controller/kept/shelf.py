"""Bundles on disk, each under its digest: a name's bytes never change, so a write needs no order but before its use."""

from collections.abc import Collection
from pathlib import Path

from controller import files
from controller.kept.state import whole_bundle
from schemas.bundle import BundleRefused


class Shelf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, digest: str, data: bytes) -> None:
        """Durable when it returns. Raises `OSError`."""
        path = self._path(digest)
        if not path.exists():
            self._folder.mkdir(exist_ok=True, mode=0o700)
            files.save(path, data)

    def get(self, digest: str) -> bytes:
        """Raises `BundleRefused`: it is not here, or no longer what it was."""
        try:
            data = self._path(digest).read_bytes()
        except OSError as error:
            raise BundleRefused(f"{digest} cannot be read: {error.strerror}") from error
        return whole_bundle(digest, data)

    def keep_only(self, digests: Collection[str]) -> None:
        """Best effort: what stays behind costs room alone."""
        kept = {self._path(digest).name for digest in digests}
        for path in self._folder.glob("*.json"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}.json"
