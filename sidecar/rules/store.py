"""The rules that run. Verify, build, then one assignment; a request keeps the snapshot that it took.

What is refused changes nothing and is remembered with its reason. Tried, fetched and activated are told apart.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from schemas.bundle import BundleRefused, Pointer, SignedPointer, Steered, digest_of
from schemas.cohort import pointer_for
from schemas.status import Activation
from sidecar.ports import Clock
from sidecar.routing.snapshot import Snapshot
from sidecar.routing.steering import steered
from sidecar.rules.building import build, build_aside
from sidecar.rules.cache import LastGood
from sidecar.rules.probation import HOLD_SECONDS, MAX_DEATHS, Probation
from sidecar.rules.trust import LocalTrust, Trust, check_digest, pointer_naming

MAX_ERROR_CHARACTERS = 1024
NOT_PERSISTED = "not persisted"

log = logging.getLogger("pointsman.rules")


class RuleStore:
    """`current` is read by every request; everything else is its history."""

    def __init__(
        self, clock: Clock, trust: Trust | LocalTrust, cache: LastGood, probation: Probation, *, sidecar: str = ""
    ) -> None:
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
        self._probation = probation
        self._as_written: Snapshot | None = None
        """`current` before it was steered."""
        self._steering: Mapping[str, Steered] = {}
        self._activated = 0.0
        self._seen = (0, 0)
        """The highest epoch and sequence of all that was believed: nothing older is."""
        self._unkept: tuple[SignedPointer, bytes | None] | None = None
        """What runs and is not on disk as it should be; without bytes, only its pointer is not."""
        self._sidecar = sidecar
        self._turn = asyncio.Lock()
        """Of whoever brings rules."""

    def load_last_good(self) -> None:
        """What ran before, from disk: a start needs no controller.

        Rules that are set aside give way to the ones before, and run all the same where there are none.
        """
        kept = self._cache.load()
        refused = ""
        for signed, is_last_resort in [(signed, False) for signed in kept] + [(signed, True) for signed in kept]:
            try:
                data = (signed.bundle or "").encode()
                signed_pointer = self._trust.pointer(signed)
                self._note_seen(signed_pointer)
                pointer = pointer_naming(signed_pointer, data)
                if not refused:
                    self.tried = self._mark(pointer.digest, pointer.revision)
                if not is_last_resort:
                    self._refuse_set_aside(pointer.digest)
                self._activate(pointer, data)
            except BundleRefused as error:
                log.error("rules.last_good_refused error=%s", error)
                refused = refused or str(error)
                continue
            log.info("rules.last_good revision=%s", self.active.revision)
            break
        if refused:
            self.refuse(refused)

    def note_alive(self) -> None:
        """To be called now and then: rules under which the process lives on are trusted, and kept if need be."""
        if self._clock.monotonic() - self._activated >= HOLD_SECONDS:
            self._probation.hold()
        if self._unkept is not None:
            self._write()

    def note_stop(self) -> None:
        """The process ends because it was told to: its rules are not to blame."""
        self._probation.end()

    def wants(self, signed: SignedPointer) -> Pointer | None:
        """The verified pointer, as this sidecar reads it, when its bundle is news.

        None when it runs already, or is refused (and noted).
        """
        try:
            pointer = pointer_for(self._trust.pointer(signed), self._sidecar)
            self.tried = self._mark(pointer.digest, pointer.revision)
            self._refuse_older(pointer)
            self._steer(pointer)
        except BundleRefused as error:
            self.refuse(str(error))
            return None
        if pointer.digest == self.active.digest:
            self._renew(signed, pointer)
            return None
        try:
            self._refuse_set_aside(pointer.digest)
        except BundleRefused as error:
            self.refuse(str(error))
            return None
        return pointer

    async def take(self, signed: SignedPointer, data: bytes) -> None:
        """An offer whose rules are built beside the calls; one after another, whoever brings them.

        What it waits for may have made it old, or run it already: it is asked for again when its turn comes.
        """
        async with self._turn:
            pointer = self.wants(signed)
            if pointer is not None:
                built = await self._build_aside(data) if digest_of(data) == pointer.digest else None
                self.offer(signed, data, built)

    async def take_local(self, data: bytes, heard: Callable[[], bool]) -> None:
        """As `take`, of bytes on this machine. `heard`: still, once they are built, or an earlier source has spoken."""
        async with self._turn:
            built = await self._build_aside(data)
            if heard():
                self.offer_local(data, built)

    def offer(self, signed: SignedPointer, data: bytes, built: Snapshot | BundleRefused | None = None) -> bool:
        """A pointer and the bytes that came for it: activated, or refused with the reason kept. True when it runs.

        `built`: what the bytes are as rules, or why they are none; None: it is found out here.
        """
        try:
            pointer = pointer_for(self._trust.pointer(signed), self._sidecar)
            self._refuse_older(pointer)  # while its bundle was fetched, another source may have brought a newer one
            check_digest(pointer, data)
            self.fetched = self._mark(pointer.digest, pointer.revision)
            self._activate(pointer, data, built)
        except BundleRefused as error:
            self.refuse(str(error))
            return False
        self._keep(signed, data)
        return True

    def offer_local(self, data: bytes, built: Snapshot | BundleRefused | None = None) -> bool:
        """Bytes from a folder or a file on this machine: no pointer came with them. `built` as in `offer`."""
        digest = digest_of(data)
        if digest == self.active.digest:
            self._settled("")
            return True
        pointer = Pointer(epoch=0, seq=0, digest=digest, size=len(data), revision="")
        self.tried = self.fetched = self._mark(digest, "")
        try:
            if self.current is not None:
                self._refuse_set_aside(digest)
            self._activate(pointer, data, built)
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
        if (pointer.epoch, pointer.seq) < self._seen:
            raise BundleRefused(
                f"the pointer's sequence {pointer.epoch}.{pointer.seq} is older than "
                f"{self._seen[0]}.{self._seen[1]}, which has been seen"
            )

    def _note_seen(self, pointer: Pointer) -> None:
        self._seen = max(self._seen, (pointer.epoch, pointer.seq))

    def _renew(self, signed: SignedPointer, pointer: Pointer) -> None:
        """A newer pointer for what runs: kept too, or an older one would be believed after a restart."""
        is_newer = (pointer.epoch, pointer.seq) > (self.pointer.epoch, self.pointer.seq)
        self.pointer = pointer
        self._note_seen(pointer)
        self._settled("")
        if is_newer or self._unkept is not None:
            self._keep(signed, None if self._unkept is None else self._unkept[1])

    def _refuse_set_aside(self, digest: str) -> None:
        if self._probation.refuses(digest):
            raise BundleRefused(f"set aside: this sidecar died {MAX_DEATHS} times soon after it had taken {digest}")

    async def _build_aside(self, data: bytes) -> Snapshot | BundleRefused | None:
        """None: there is nothing to build, as it runs or is set aside."""
        digest = digest_of(data)
        if digest == self.active.digest or self._probation.refuses(digest):
            return None
        self._probation.begin(digest)
        try:
            return await build_aside(data, digest)
        except BundleRefused as refused:
            return refused

    def _activate(self, pointer: Pointer, data: bytes, built: Snapshot | BundleRefused | None = None) -> None:
        self._probation.begin(pointer.digest)
        if built is None:
            built = build(data, pointer.digest)
        elif isinstance(built, BundleRefused):
            raise built
        self._as_written = built
        self._steering = pointer.steering
        self.current = steered(self._as_written, self._steering)
        self._activated = self._clock.monotonic()
        self.has_rules.set()
        self.pointer = pointer
        self._note_seen(pointer)
        self.active = self._mark(pointer.digest, built.revision)
        log.info("rules.activated revision=%s digest=%s seq=%d", built.revision, pointer.digest, pointer.seq)
        self._settled("")

    def _steer(self, pointer: Pointer) -> None:
        """What runs, whether or not the bundle that comes with it will: a canary that was taken back is so at once."""
        if pointer.steering == self._steering or self._as_written is None:
            return
        self._note_seen(pointer)
        self._steering = pointer.steering
        self.current = steered(self._as_written, self._steering)
        log.info("rules.steered seq=%d use_cases=%s", pointer.seq, ",".join(sorted(self._steering)) or "none")

    def _keep(self, signed: SignedPointer, data: bytes | None) -> None:
        self._unkept = (signed, data)
        self._write()

    def _write(self) -> None:
        """What cannot be kept runs all the same, and is said for as long as that is so."""
        assert self._unkept is not None
        signed, data = self._unkept
        try:
            if data is None:
                self._cache.renew(signed, self.active.digest)
            else:
                self._cache.save(msgspec.structs.replace(signed, bundle=data.decode()))
        except OSError as error:
            if not self.error:
                log.error("rules.not_persisted error=%s", error.strerror)
                self._settled(f"{NOT_PERSISTED}: {error.strerror}")
            return
        self._unkept = None
        if self.error.startswith(NOT_PERSISTED):
            self._settled("")

    def _settled(self, error: str) -> None:
        self.error = error
        for tell in self.on_change:
            tell()

    def _mark(self, digest: str, revision: str) -> Activation:
        at = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Activation(digest=digest, revision=revision, at=at)


def _json(pointer: Pointer) -> str:
    return msgspec.json.encode(pointer).decode()
