"""What a fleet is to run, whole, and the port behind which it is kept. Values; no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import msgspec

from controller.channel import Channel
from schemas.bundle import BundleRefused, Pointer, SignedPointer, decode_bundle, digest_of


class Unreadable(Exception):
    """What was kept is damaged, or a later version has written it."""


class Saved(msgspec.Struct, frozen=True):
    """The document that is kept. It is written after, or with, the bundles that it names."""

    signed: SignedPointer
    """Without its bundle."""
    channel: Channel


@dataclass(frozen=True, slots=True)
class State:
    epoch: int = 0
    """Of the current pointer; 0: there is none, and whoever keeps the first one begins an epoch."""
    channel: Channel = field(default_factory=Channel)
    pointer: Pointer | None = None
    signed: SignedPointer | None = None
    """`pointer` as it was signed, without its bundle; with it or not at all."""
    bundles: Mapping[str, bytes] = field(default_factory=dict)
    """By digest: all that the channel names."""
    version: int = 0
    """Counts what was written where several controllers write, changes without a new pointer too."""

    def saved(self) -> bytes:
        assert self.signed is not None  # what is kept was published
        return msgspec.json.encode(Saved(self.signed, self.channel))


Step: TypeAlias = Callable[[State], State]
"""From the state to the next one; the same object means that nothing is to be written. May raise `NotPossible`."""


class Kept(Protocol):
    """Blocks while it reads and writes: it is called on a thread, one call at a time."""

    @property
    def is_shared(self) -> bool:
        """Other controllers may change what is kept."""

    def load(self, known: State) -> State:
        """What is kept: `known` itself where it is that; an empty state where nothing is, or less than is known.

        Raises:
            CannotStart: the state folder cannot be read.
            LedgerUnavailable: the database cannot.
        """

    def change(self, known: State, step: Step) -> State:
        """The state after `step`, durable. Where less was kept than is known, it goes on from that in a new epoch.

        Args:
            known: what this controller last loaded or was given.

        Raises:
            NotPossible: `step` says so.
            OSError: the state folder cannot be written; nothing changed.
            LedgerUnavailable: the database cannot; nothing changed, as far as can be known.
        """


def parse_state(saved: bytes | str, bundle: Callable[[str], bytes], *, version: int = 0) -> State:
    """What `State.saved` gave, and its bundles; of those that merely ran before, the ones that are still whole.

    Args:
        bundle: gives the bytes of a digest. May raise `BundleRefused`.

    Raises:
        Unreadable: nothing can be run from this.
    """
    try:
        kept = msgspec.json.decode(saved, type=Saved)
        pointer = msgspec.json.decode(kept.signed.pointer, type=Pointer)
        channel, bundles = kept.channel, {}
        if channel.running is None or (channel.running.digest, channel.candidate) != (pointer.digest, pointer.rollout):
            raise BundleRefused("the pointer names another bundle than its state")
        needed = {named.digest for named in msgspec.structs.replace(channel, past=()).kept()}
        for digest in dict.fromkeys(named.digest for named in channel.kept()):
            try:
                bundles[digest] = bundle(digest)
            except BundleRefused:
                if digest in needed:
                    raise
    except (msgspec.DecodeError, UnicodeError, RecursionError, BundleRefused) as error:
        raise Unreadable(str(error)) from error
    past = tuple(named for named in channel.past if named.digest in bundles)
    channel = msgspec.structs.replace(channel, past=past)
    return State(pointer.epoch, channel, pointer, kept.signed, bundles, version)


def whole_bundle(digest: str, data: bytes) -> bytes:
    """Raises `BundleRefused`: these bytes are no longer what their name says."""
    if digest_of(data) != digest:
        raise BundleRefused(f"{digest} is damaged")
    decode_bundle(data)
    return data
