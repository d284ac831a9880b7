"""What every sidecar should run: the current bundle under its signed pointer, kept over restarts, told to watchers."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from controller.channel import Channel, Named, NotPossible, accept
from controller.errors import ForeignKey
from controller.kept.state import Kept, State
from controller.sign import Signer
from schemas.bundle import Bundle, Pointer, SignedPointer, decode_bundle, digest_of, encode_bundle

INLINE_BYTES: Final = 64 << 10
"""A bundle up to this size travels inside its signed pointer; a larger one is fetched by its digest."""
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


Change = Callable[[Channel], Channel]
"""A transition of `controller.channel`. May raise `NotPossible`."""


class Publisher:
    """Owns the sequence: every change is durable first, then announced. Changes come one after the other."""

    def __init__(self, kept: Kept, signer: Signer) -> None:
        """Nothing is read before `restore`."""
        self._kept = kept
        self._signer = signer
        self._state = State()
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()
        self._is_closed = False
        self.is_restored = False
        """What is kept was read: by then, that nothing runs means that nothing was ever published."""
        self.current: Publication | None = None

    @property
    def is_shared(self) -> bool:
        """Other controllers publish too."""
        return self._kept.is_shared

    @property
    def channel(self) -> Channel:
        return self._state.channel

    def running_and_earlier(self) -> tuple[Bundle | None, tuple[Bundle, ...]]:
        """What all run who are not on trial, and what passed before; None where nothing runs yet."""
        channel, bundles = self._state.channel, self._state.bundles
        earlier = dict.fromkeys(named.digest for named in (channel.head, *channel.past) if named is not None)
        running = None if self.current is None else decode_bundle(self.current.bundle)
        return running, tuple(decode_bundle(bundles[digest]) for digest in earlier)

    def restore(self) -> None:
        """Takes up what ran before: the last good bundle is served at once, whatever the repository says now.

        Raises:
            CannotStart: it cannot be read, or another key has signed it (`ForeignKey`).
            LedgerUnavailable: it cannot be read just now.
        """
        state = self._kept.load(self._state)
        self._check_key(state)
        self._take(state)

    async def catch_up(self) -> None:
        """Takes up what other controllers have changed, and brings back what their database has lost.

        Raises:
            ForeignKey: at the first time alone, as `restore` does.
            LedgerUnavailable: what is kept cannot be read just now.
        """
        async with self._one_at_a_time:
            state = await asyncio.to_thread(self._kept.load, self._state)
            if not self.is_restored:
                self._check_key(state)
            is_lost = state.pointer is None and self.current is not None
            if not is_lost:
                self._take(state)
        if is_lost or self._is_signed_by_an_earlier_key:
            await self.sign_anew()

    @property
    def _is_signed_by_an_earlier_key(self) -> bool:
        key_id = None if self._state.signed is None else self._state.signed.key_id
        return key_id != self._signer.key_id and key_id in self._signer.known_key_ids

    async def publish(self, bundle: Bundle, *, reason: str = "") -> Publication:
        """Makes a bundle the current one, for all. What is current is not published again.

        Raises:
            BundleRefused: no sidecar would take this bundle.
            OSError, LedgerUnavailable: it cannot be written; nothing changed.
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
            OSError, LedgerUnavailable: it cannot be written; nothing changed.
            ForeignKey: another controller has another key, and what runs is signed by it.
        """
        # Whoever asked may leave meanwhile: what has begun to be written is taken up all the same.
        return await asyncio.shield(asyncio.ensure_future(self._change(change, bundles)))

    async def _change(self, change: Change, bundles: Mapping[str, bytes]) -> Publication:
        def step(state: State) -> State:
            self._check_key(state)
            return next_state(state, change, bundles, self._signer)

        async with self._one_at_a_time:
            self._take(await asyncio.to_thread(self._kept.change, self._state, step))
            assert self.current is not None  # every step has something that runs
            return self.current

    @property
    def pointer(self) -> Pointer | None:
        return None if self.current is None else self.current.pointer

    def bundle(self, digest: str) -> bytes | None:
        """The bytes of a recent bundle; None for one that is not kept."""
        return self._state.bundles.get(digest)

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

    def _check_key(self, state: State) -> None:
        """Two keys would sign one over the other without end. Raises `ForeignKey`."""
        key_id = None if state.signed is None else state.signed.key_id
        if self._kept.is_shared and key_id is not None and key_id not in self._signer.known_key_ids:
            raise ForeignKey(
                f"what runs is signed by the key {key_id}, and --signing-key is {self._signer.key_id}: all controllers "
                "of one database need the same file; to change the key, put the new one on its first line, above the "
                "old one"
            )

    def _take(self, state: State) -> None:
        """Holds a state that is kept, and tells watchers of a pointer that they have not seen."""
        self._state = state
        self.is_restored = True
        if state.pointer is None or state.signed is None or state.pointer == self.pointer:
            return
        self.current = publication_of(state.pointer, state.signed, state.bundles[state.pointer.digest])
        self._changed.set()
        self._changed = asyncio.Event()


def next_state(state: State, change: Change, bundles: Mapping[str, bytes], signer: Signer) -> State:
    """What a transition makes of the state: with a new pointer where what runs is another by it, or its key is.

    Raises `NotPossible`.
    """
    channel = change(state.channel)
    running = channel.running
    if running is None:
        raise NotPossible("nothing runs yet")
    at_hand = {**state.bundles, **bundles}
    pointer, signed = state.pointer, state.signed
    if (
        pointer is None
        or signed is None
        or signed.key_id != signer.key_id
        or (pointer.digest, pointer.rollout, pointer.steering) != (running.digest, channel.candidate, channel.steering)
    ):
        pointer = Pointer(
            epoch=state.epoch, seq=1 if pointer is None else pointer.seq + 1, digest=running.digest, size=running.size,
            revision=running.revision, reason=channel.reason, rollout=channel.candidate, steering=channel.steering,
        )  # fmt: skip
        signed = signer.sign(msgspec.json.encode(pointer).decode())
    elif channel == state.channel:
        return state
    kept = {named.digest: at_hand[named.digest] for named in channel.kept()}
    return State(state.epoch, channel, pointer, signed, kept)


def publication_of(pointer: Pointer, signed: SignedPointer, bundle: bytes, *, scope: str = "") -> Publication:
    """A pointer and its bundle as they travel."""
    inline = bundle.decode() if len(bundle) <= INLINE_BYTES else None
    whole = msgspec.structs.replace(signed, bundle=inline)
    body = msgspec.json.encode(whole)
    event = b"event: pointer\nid: %d.%d\ndata: %b\n\n" % (pointer.epoch, pointer.seq, body)
    return Publication(pointer, whole, body, event, bundle, scope)
