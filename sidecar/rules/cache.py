"""The last good bundle on disk: pointer and bytes in one file, so that a crash leaves one whole or the other."""

import logging
from pathlib import Path

import msgspec

from schemas.bundle import SignedPointer, digest_of
from sidecar.durable import write_durably

log = logging.getLogger("pointsman.rules")


class LastGood:
    """`current` and `previous`. Never overwritten with nothing, never deleted because a controller is gone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._current = folder / "current.json"
        self._previous = folder / "previous.json"

    def save(self, signed: SignedPointer) -> None:
        """`signed` with its bundle inline. Raises OSError; rules that run are not taken back for it."""
        if self._current.exists():
            self._current.replace(self._previous)
        write_durably(self._current, msgspec.json.encode(signed))

    def renew(self, signed: SignedPointer, digest: str) -> None:
        """Another pointer for a bundle that is kept. Raises OSError."""
        for kept in self.load():
            if digest_of((kept.bundle or "").encode()) == digest:
                write_durably(self._current, msgspec.json.encode(msgspec.structs.replace(signed, bundle=kept.bundle)))
                return

    def load(self) -> list[SignedPointer]:
        """What can be read, the newest first."""
        found = []
        for path in (self._current, self._previous):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=SignedPointer))
            except FileNotFoundError:
                continue
            except (OSError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
                log.error("rules.cache_unreadable file=%s error=%s", path.name, error)
        return found
