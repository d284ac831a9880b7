"""What a fleet is to run, whole, and the port behind which it is kept. Values; no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import msgspec

from controller.channel import Channel
from schemas.bundle import Pointer, SignedPointer


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

    def saved(self) -> bytes:
        assert self.signed is not None  # what is kept was published
        return msgspec.json.encode(Saved(self.signed, self.channel))


Step: TypeAlias = Callable[[State], State]
"""From the state to the next one; the same object means that nothing is to be written. May raise `NotPossible`."""


class Kept(Protocol):
    """Blocks while it writes: it is called on a thread, one call at a time."""

    def load(self) -> State:
        """What was kept; an empty state where nothing was. Raises `CannotStart`."""

    def change(self, known: State, step: Step) -> State:
        """The state after `step`, durable.

        Args:
            known: what this controller last loaded or was given.

        Raises:
            NotPossible: `step` says so.
            OSError: the state folder cannot be written; nothing changed.
        """
