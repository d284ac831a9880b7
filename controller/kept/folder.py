"""The state folder: one controller's alone, so that what it knows is what is kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from controller import files, logs
from controller.channel import Channel
from controller.errors import CannotStart
from controller.kept.shelf import Shelf
from controller.kept.state import Saved, State, Step
from schemas.bundle import BundleRefused, Pointer

STATE_FILE: Final = "published.json"
SHELF_FOLDER: Final = "bundles"


class StateFolder:
    def __init__(self, folder: Path, *, epoch: int) -> None:
        """`epoch` counts for a folder that holds nothing yet: lost state starts a higher one."""
        self._path = folder / STATE_FILE
        self._shelf = Shelf(folder / SHELF_FOLDER)
        self._epoch = epoch

    def load(self) -> State:
        """A state that cannot be read is set aside, and a new epoch begins, which every sidecar takes over the old."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise CannotStart(f"cannot read {self._path}: {error.strerror}") from error
        try:
            saved = msgspec.json.decode(data, type=Saved)
            pointer = msgspec.json.decode(saved.signed.pointer, type=Pointer)
            bundles = self._fetch_bundles(pointer, saved.channel)
        except (msgspec.DecodeError, UnicodeError, RecursionError, BundleRefused) as error:
            self._path.replace(self._path.with_suffix(".bad"))
            logs.warn("state.unreadable", file=self._path, error=error)
            return State()
        past = tuple(named for named in saved.channel.past if named.digest in bundles)
        channel = msgspec.structs.replace(saved.channel, past=past)
        return State(pointer.epoch, channel, pointer, saved.signed, bundles)

    def change(self, known: State, step: Step) -> State:
        before = known if known.epoch else replace(known, epoch=self._epoch)
        state = step(before)
        if state is not before:
            for digest, data in state.bundles.items():
                self._shelf.put(digest, data)
            files.save(self._path, state.saved())
            self._shelf.keep_only(state.bundles)
        return state

    def _fetch_bundles(self, pointer: Pointer, channel: Channel) -> Mapping[str, bytes]:
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
