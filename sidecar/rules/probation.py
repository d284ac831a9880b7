"""Rules under which this process keeps dying are set aside: counted on disk before they run, until they have held.

Only a process that died counts. One that was stopped, and rules that have held before, are never suspected.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sidecar.durable import write_durably

MAX_DEATHS = 3
HOLD_SECONDS = 60.0
"""Whoever runs for so long under new rules is not killed by them."""
KEPT_DIGESTS = 16

log = logging.getLogger("pointsman.rules")


class _Notes(msgspec.Struct, frozen=True, omit_defaults=True):
    version: str
    """Of the sidecar: another version may run what this one could not."""
    deaths: dict[str, int] = {}
    """Processes that began to run rules that have not held yet, and did not say goodbye; by digest."""
    held: tuple[str, ...] = ()


class Probation:
    """Trouble with its own file is logged and never keeps rules from running."""

    def __init__(self, folder: Path, version: str) -> None:
        self._path = folder / "probation.json"
        self._notes = self._load(version)
        self._suspect = ""
        """Whom the death of this process would be laid on."""

    def refuses(self, digest: str) -> bool:
        """Whether these rules are set aside: too many died under them, and they have never held."""
        return self._notes.deaths.get(digest, 0) >= MAX_DEATHS and self._suspect != digest

    def begin(self, digest: str) -> None:
        """To be called before these rules run."""
        if digest == self._suspect:
            return
        deaths = self._without_suspect()
        self._suspect = "" if digest in self._notes.held else digest
        if self._suspect:
            deaths[digest] = deaths.get(digest, 0) + 1
        self._save(deaths=deaths)

    def hold(self) -> None:
        """The rules that run have held."""
        if self._suspect:
            held = (self._suspect, *self._notes.held)[:KEPT_DIGESTS]
            self._save(deaths=_without(self._notes.deaths, self._suspect), held=held)
            self._suspect = ""

    def end(self) -> None:
        """The process was told to stop: nothing is to blame."""
        self._save(deaths=self._without_suspect())
        self._suspect = ""

    def _without_suspect(self) -> dict[str, int]:
        """The counts as if this process had not begun."""
        counts = dict(self._notes.deaths)
        if self._suspect in counts:
            counts[self._suspect] -= 1
        return {digest: count for digest, count in list(counts.items())[-KEPT_DIGESTS:] if count > 0}

    def _save(self, **changes: object) -> None:
        notes = msgspec.structs.replace(self._notes, **changes)
        if notes == self._notes:
            return
        self._notes = notes
        try:
            write_durably(self._path, msgspec.json.encode(self._notes))
        except OSError as error:
            log.error("rules.probation_not_kept error=%s", error.strerror)

    def _load(self, version: str) -> _Notes:
        try:
            notes = msgspec.json.decode(self._path.read_bytes(), type=_Notes)
        except (OSError, msgspec.DecodeError, UnicodeError, RecursionError):
            return _Notes(version)
        return notes if notes.version == version else _Notes(version)


def _without(deaths: Mapping[str, int], digest: str) -> dict[str, int]:
    return {other: count for other, count in deaths.items() if other != digest}
