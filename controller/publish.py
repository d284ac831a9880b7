"""What every sidecar should run: the current bundle under its signed pointer, kept over restarts, told to watchers."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from controller import files, logs
from controller.errors import CannotStart
from controller.sign import Signer
from schemas.bundle import Bundle, BundleRefused, Pointer, SignedPointer, decode_bundle, digest_of, encode_bundle

STATE_FILE: Final = "published.json"
INLINE_BYTES: Final = 64 << 10
"""A bundle up to this size travels inside its signed pointer; a larger one is fetched by its digest."""
KEPT_BUNDLES: Final = 8
"""The current bundle and those before it stay at hand for sidecars that were slow to ask."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One pointer, its signature and its bundle: always together, in memory and on disk."""

    pointer: Pointer
    signed: SignedPointer
    """With the bundle inline while that is small."""
    body: bytes
    """`signed` as JSON, as every client gets it."""
    event: bytes
    """`body` as the server-sent event that announces it, made once for all watchers."""
    bundle: bytes

    @property
    def event_id(self) -> str:
        return f"{self.pointer.epoch}.{self.pointer.seq}"


class _Saved(msgspec.Struct, frozen=True):
    """The state file. Pointer and bytes are one file, so that no crash can part them."""

    signed: SignedPointer
    bundle: str


class Publisher:
    """Owns the sequence. `publish` is called by one task alone; `current` and `newer_than` by anyone."""

    def __init__(self, folder: Path, signer: Signer, *, epoch: int) -> None:
        """`epoch` counts for a state folder that holds nothing yet: lost state starts a higher one."""
        self._path = folder / STATE_FILE
        self._signer = signer
        self._epoch = epoch
        self._seq = 0
        self._bundles: OrderedDict[str, bytes] = OrderedDict()
        self._changed = asyncio.Event()
        self._is_closed = False
        self.current: Publication | None = None

    def restore(self) -> None:
        """Takes up what ran before: the last good bundle is served at once, whatever the repository says now.

        A file that cannot be read is set aside, and a new epoch begins, which every sidecar takes over the old one.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise CannotStart(f"cannot read {self._path}: {error.strerror}") from error
        try:
            saved = msgspec.json.decode(data, type=_Saved)
            pointer = msgspec.json.decode(saved.signed.pointer, type=Pointer)
            bundle = saved.bundle.encode()
            decode_bundle(bundle)
            if digest_of(bundle) != pointer.digest:
                raise BundleRefused("the bundle is not the one that its pointer names")
        except (msgspec.DecodeError, BundleRefused) as error:
            self._path.replace(self._path.with_suffix(".bad"))
            logs.warn("state.unreadable", file=self._path, error=error)
            return
        self._epoch, self._seq = pointer.epoch, pointer.seq
        self._take(_publication(pointer, saved.signed, bundle))

    async def publish(self, bundle: Bundle, *, reason: str = "") -> Publication:
        """Makes a bundle the current one: durable first, then announced. What is current is not published again.

        Raises:
            BundleRefused: no sidecar would take this bundle.
            OSError: the state folder cannot be written; nothing changed.
        """
        data = encode_bundle(bundle)
        decode_bundle(data)
        digest = digest_of(data)
        current = self.current
        if current is not None and current.pointer.digest == digest and current.signed.key_id == self._signer.key_id:
            return current
        pointer = Pointer(
            epoch=self._epoch, seq=self._seq + 1, digest=digest, size=len(data), revision=bundle.revision, reason=reason
        )
        publication = _publication(pointer, self._signer.sign(msgspec.json.encode(pointer).decode()), data)
        saved = msgspec.json.encode(_Saved(signed=publication.signed, bundle=data.decode()))
        await asyncio.to_thread(files.save, self._path, saved)
        self._seq = pointer.seq
        self._take(publication)
        return publication

    @property
    def pointer(self) -> Pointer | None:
        return None if self.current is None else self.current.pointer

    def bundle(self, digest: str) -> bytes | None:
        """The bytes of a recent bundle; None for one that is not kept."""
        return self._bundles.get(digest)

    async def newer_than(self, event_id: str) -> Publication | None:
        """The current publication as soon as it is another than `event_id`; None once the publisher is closed.

        Level-triggered: whoever was slow gets the latest, and what came in between is never queued.
        """
        while not self._is_closed:
            if self.current is not None and self.current.event_id != event_id:
                return self.current
            await self._changed.wait()
        return None

    def close(self) -> None:
        """Ends every wait: the program is going away."""
        self._is_closed = True
        self._changed.set()

    def _take(self, publication: Publication) -> None:
        self.current = publication
        self._bundles[publication.pointer.digest] = publication.bundle
        self._bundles.move_to_end(publication.pointer.digest)
        while len(self._bundles) > KEPT_BUNDLES:
            self._bundles.popitem(last=False)
        self._changed.set()
        self._changed = asyncio.Event()


def _publication(pointer: Pointer, signed: SignedPointer, bundle: bytes) -> Publication:
    inline = bundle.decode() if len(bundle) <= INLINE_BYTES else None
    whole = msgspec.structs.replace(signed, bundle=inline)
    body = msgspec.json.encode(whole)
    event = b"event: pointer\nid: %d.%d\ndata: %b\n\n" % (pointer.epoch, pointer.seq, body)
    return Publication(pointer, whole, body, event, bundle)
