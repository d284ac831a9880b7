"""What every sidecar should run: the current bundle under its signed pointer, kept over restarts, told to watchers."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from controller import files, logs
from controller.channel import Channel, Named, NotPossible, accept
from controller.errors import CannotStart
from controller.shelf import Shelf
from controller.sign import Signer
from schemas.bundle import Bundle, BundleRefused, Pointer, SignedPointer, decode_bundle, digest_of, encode_bundle

STATE_FILE: Final = "published.json"
INLINE_BYTES: Final = 64 << 10
"""A bundle up to this size travels inside its signed pointer; a larger one is fetched by its digest."""
SHELF_FOLDER: Final = "bundles"
NONE_NEW: Final[Mapping[str, bytes]] = {}


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
    scope: str = ""
    """Names whose part it is, for caches; empty: everybody's."""

    @property
    def event_id(self) -> str:
        return f"{self.pointer.epoch}.{self.pointer.seq}"

    @property
    def tag(self) -> str:
        """Two scopes that see one sequence see different bytes."""
        return f"{self.event_id}-{self.scope}" if self.scope else self.event_id


class _Saved(msgspec.Struct, frozen=True):
    """The state file. It is written after the bundles that it names are on the shelf."""

    signed: SignedPointer
    channel: Channel


Change = Callable[[Channel], Channel]
"""A transition of `controller.channel`. May raise `NotPossible`."""


class Publisher:
    """Owns the sequence: every change is durable first, then announced. Changes come one after the other."""

    def __init__(self, folder: Path, signer: Signer, *, epoch: int) -> None:
        """`epoch` counts for a state folder that holds nothing yet: lost state starts a higher one."""
        self._path = folder / STATE_FILE
        self._shelf = Shelf(folder / SHELF_FOLDER)
        self._signer = signer
        self._epoch = epoch
        self._seq = 0
        self._bundles: dict[str, bytes] = {}
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()
        self._is_closed = False
        self.channel = Channel()
        self.current: Publication | None = None

    def running_and_earlier(self) -> tuple[Bundle | None, tuple[Bundle, ...]]:
        """What all run who are not on trial, and what passed before; None where nothing runs yet."""
        channel = self.channel
        earlier = []
        for named in dict.fromkeys(named for named in (channel.head, *channel.past) if named is not None):
            with suppress(BundleRefused):
                earlier.append(decode_bundle(self._shelf.get(named.digest)))
        running = None if self.current is None else decode_bundle(self.current.bundle)
        return running, tuple(earlier)

    def restore(self) -> None:
        """Takes up what ran before: the last good bundle is served at once, whatever the repository says now.

        A state that cannot be read is set aside, and a new epoch begins, which every sidecar takes over the old one.
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
            bundles = self._fetch_bundles(pointer, saved.channel)
        except (msgspec.DecodeError, UnicodeError, RecursionError, BundleRefused) as error:
            self._path.replace(self._path.with_suffix(".bad"))
            logs.warn("state.unreadable", file=self._path, error=error)
            return
        self._epoch, self._seq = pointer.epoch, pointer.seq
        self._bundles = bundles
        self.channel = msgspec.structs.replace(
            saved.channel, past=tuple(named for named in saved.channel.past if named.digest in bundles)
        )
        self._announce(publication_of(pointer, saved.signed, bundles[pointer.digest]))

    async def publish(self, bundle: Bundle, *, reason: str = "") -> Publication:
        """Makes a bundle the current one, for all. What is current is not published again.

        Raises:
            BundleRefused: no sidecar would take this bundle.
            OSError: the state folder cannot be written; nothing changed.
        """
        named, data = self.name(bundle)
        return await self.change(lambda channel: accept(channel, named, None, reason=reason), {named.digest: data})

    async def sign_anew(self) -> None:
        """After a change of keys: what runs under the new one, with the next sequence, whatever the repository says."""
        if self.current is not None:
            await self.change(lambda channel: channel)

    def name(self, bundle: Bundle) -> tuple[Named, bytes]:
        """A bundle's name and its bytes. Raises `BundleRefused`: no sidecar would take it."""
        data = encode_bundle(bundle)
        decode_bundle(data)
        return Named(digest_of(data), len(data), bundle.revision), data

    async def change(self, change: Change, bundles: Mapping[str, bytes] = NONE_NEW) -> Publication:
        """Makes a transition, and a new pointer where what runs is another by it.

        Args:
            bundles: bytes of what the transition names for the first time.

        Raises:
            NotPossible: the transition says why not.
            OSError: the state folder cannot be written; nothing changed.
        """
        async with self._one_at_a_time:
            before, after = self.channel, change(self.channel)
            running = after.running
            if running is None:
                raise NotPossible("nothing runs yet")
            current = self.current
            at_hand = self._bundles | dict(bundles)
            is_news = (
                current is None
                or current.signed.key_id != self._signer.key_id
                or (current.pointer.digest, current.pointer.rollout, current.pointer.steering)
                != (running.digest, after.candidate, after.steering)
            )
            if current is not None and not is_news and after == before:
                return current
            publication = current if current is not None and not is_news else self._made(after, running, at_hand)
            kept = {named.digest: at_hand[named.digest] for named in after.kept()}
            saved = msgspec.json.encode(_Saved(_without_bundle(publication.signed), after))
            await asyncio.to_thread(self._save, kept, saved)
            self.channel, self._bundles, self._seq = after, kept, publication.pointer.seq
            if is_news:
                self._announce(publication)
            return publication

    def _made(self, channel: Channel, running: Named, bundles: Mapping[str, bytes]) -> Publication:
        pointer = Pointer(
            epoch=self._epoch, seq=self._seq + 1, digest=running.digest, size=running.size,
            revision=running.revision, reason=channel.reason, rollout=channel.candidate, steering=channel.steering,
        )  # fmt: skip
        signed = self._signer.sign(msgspec.json.encode(pointer).decode())
        return publication_of(pointer, signed, bundles[running.digest])

    def _save(self, bundles: Mapping[str, bytes], saved: bytes) -> None:
        for digest, data in bundles.items():
            self._shelf.put(digest, data)
        files.save(self._path, saved)
        self._shelf.keep_only(bundles)

    def _fetch_bundles(self, pointer: Pointer, channel: Channel) -> dict[str, bytes]:
        """All that the channel names; of what merely ran before, what is still whole. Raises `BundleRefused`."""
        if channel.running is None or (channel.running.digest, channel.candidate) != (pointer.digest, pointer.rollout):
            raise BundleRefused("the pointer names another bundle than its state")
        bundles = {}
        needed = {named.digest for named in msgspec.structs.replace(channel, past=()).kept()}
        for digest in dict.fromkeys(named.digest for named in channel.kept()):
            try:
                bundles[digest] = self._shelf.get(digest)
            except BundleRefused:
                if digest in needed:
                    raise
        return bundles

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

    def _announce(self, publication: Publication) -> None:
        self.current = publication
        self._changed.set()
        self._changed = asyncio.Event()


def _without_bundle(signed: SignedPointer) -> SignedPointer:
    return msgspec.structs.replace(signed, bundle=None)


def publication_of(pointer: Pointer, signed: SignedPointer, bundle: bytes, *, scope: str = "") -> Publication:
    """A pointer and its bundle as they travel."""
    inline = bundle.decode() if len(bundle) <= INLINE_BYTES else None
    whole = msgspec.structs.replace(signed, bundle=inline)
    body = msgspec.json.encode(whole)
    event = b"event: pointer\nid: %d.%d\ndata: %b\n\n" % (pointer.epoch, pointer.seq, body)
    return Publication(pointer, whole, body, event, bundle, scope)
