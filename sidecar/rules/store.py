"""The rules that run. Verify, build, then one assignment; a request keeps the snapshot that it took.

What is refused changes nothing and is remembered with its reason. Tried, fetched and activated are told apart.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from schemas.bundle import Bundle, BundleRefused, Pointer, SignedPointer, decode_bundle, digest_of
from schemas.cohort import pointer_for
from schemas.status import Activation
from sidecar.ports import Clock
from sidecar.routing.snapshot import Snapshot, build_snapshot
from sidecar.rules.cache import LastGood
from sidecar.rules.trust import LocalTrust, Trust, check_digest, pointer_naming

MAX_ERROR_CHARACTERS = 1024

log = logging.getLogger("pointsman.rules")


class RuleStore:
    """`current` is read by every request; everything else is its history."""

    def __init__(self, clock: Clock, trust: Trust | LocalTrust, cache: LastGood, *, sidecar: str = "") -> None:
        """`sidecar` is the id by which a trial's lot is drawn."""
        self.current: Snapshot | None = None
        self.pointer = Pointer(epoch=0, seq=0, digest="", size=0, revision="")
        self.tried = self.fetched = self.active = Activation()
        self.error = ""
        self.has_rules = asyncio.Event()
        self.on_change: list[Callable[[], None]] = []
        self._clock = clock
        self._trust = trust
        self._cache = cache
        self._sidecar = sidecar

    def load_last_good(self) -> None:
        """What ran before, from disk: a start needs no controller."""
        for signed in self._cache.load():
            try:
                data = (signed.bundle or "").encode()
                self._activate(pointer_naming(self._trust.pointer(signed), data), data)
            except BundleRefused as error:
                log.error("rules.last_good_refused error=%s", error)
                continue
            log.info("rules.last_good revision=%s", self.active.revision)
            return

    def wants(self, signed: SignedPointer) -> Pointer | None:
        """The verified pointer, as this sidecar reads it, when its bundle is news.

        None when it runs already, or is refused (and noted).
        """
        try:
            pointer = pointer_for(self._trust.pointer(signed), self._sidecar)
            self.tried = self._mark(pointer.digest, pointer.revision)
            self._refuse_older(pointer)
        except BundleRefused as error:
            self.refuse(str(error))
            return None
        if pointer.digest == self.active.digest:
            self.pointer = pointer
            self._settled("")
            return None
        return pointer

    def offer(self, signed: SignedPointer, data: bytes) -> bool:
        """A pointer and the bytes that came for it: activated, or refused with the reason kept. True when it runs."""
        try:
            pointer = pointer_for(self._trust.pointer(signed), self._sidecar)
            self._refuse_older(pointer)  # while its bundle was fetched, another source may have brought a newer one
            check_digest(pointer, data)
            self.fetched = self._mark(pointer.digest, pointer.revision)
            self._activate(pointer, data)
        except BundleRefused as error:
            self.refuse(str(error))
            return False
        self._keep(signed, data)
        return True

    def offer_local(self, data: bytes) -> bool:
        """Bytes from a folder or a file on this machine: no pointer came with them."""
        digest = digest_of(data)
        if digest == self.active.digest:
            self._settled("")
            return True
        pointer = Pointer(epoch=0, seq=0, digest=digest, size=len(data), revision="")
        self.tried = self.fetched = self._mark(digest, "")
        try:
            self._activate(pointer, data)
        except BundleRefused as error:
            self.refuse(str(error))
            return False
        self._keep(SignedPointer(pointer=_json(pointer)), data)
        return True

    def refuse(self, reason: str) -> None:
        """The newest rules cannot run; the last good ones go on."""
        log.error("rules.refused error=%s", reason)
        self._settled(reason[:MAX_ERROR_CHARACTERS])

    def _refuse_older(self, pointer: Pointer) -> None:
        seen = self.pointer
        if (pointer.epoch, pointer.seq) < (seen.epoch, seen.seq):
            raise BundleRefused(
                f"the pointer's sequence {pointer.epoch}.{pointer.seq} is older than "
                f"{seen.epoch}.{seen.seq}, which has been seen"
            )

    def _activate(self, pointer: Pointer, data: bytes) -> None:
        bundle, self.current = _build(data, pointer.digest)
        self.has_rules.set()
        self.pointer = pointer
        self.active = self._mark(pointer.digest, bundle.revision)
        log.info("rules.activated revision=%s digest=%s seq=%d", bundle.revision, pointer.digest, pointer.seq)
        self._settled("")

    def _keep(self, signed: SignedPointer, data: bytes) -> None:
        try:
            self._cache.save(msgspec.structs.replace(signed, bundle=data.decode()))
        except OSError as error:
            log.error("rules.not_persisted error=%s", error.strerror)
            self._settled(f"not persisted: {error.strerror}")

    def _settled(self, error: str) -> None:
        self.error = error
        for tell in self.on_change:
            tell()

    def _mark(self, digest: str, revision: str) -> Activation:
        at = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Activation(digest=digest, revision=revision, at=at)


def _build(data: bytes, digest: str) -> tuple[Bundle, Snapshot]:
    """Raises BundleRefused, whatever goes wrong: rules that trip over a bug of ours must not take calls down."""
    try:
        bundle = decode_bundle(data)
        return bundle, build_snapshot(bundle, digest)
    except BundleRefused:
        raise
    except Exception as error:
        log.exception("rules.crashed digest=%s", digest)
        raise BundleRefused(f"this version cannot build these rules: {type(error).__name__}: {error}") from error


def _json(pointer: Pointer) -> str:
    return msgspec.json.encode(pointer).decode()
