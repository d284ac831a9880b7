"""The state folder: one controller's alone, so that what it knows is what is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from controller import files, logs
from controller.errors import CannotStart
from controller.kept.shelf import Shelf
from controller.kept.state import State, Step, Unreadable, parse_state

STATE_FILE: Final = "published.json"
SHELF_FOLDER: Final = "bundles"


class StateFolder:
    is_shared = False

    def __init__(self, folder: Path, *, epoch: int) -> None:
        """`epoch` counts for a folder that holds nothing yet: lost state starts a higher one."""
        self._path = folder / STATE_FILE
        self._shelf = Shelf(folder / SHELF_FOLDER)
        self._epoch = epoch

    def load(self, known: State) -> State:
        """A state that cannot be read is set aside, and a new epoch begins, which every sidecar takes over the old."""
        if known.epoch:
            return known
        try:
            return parse_state(self._path.read_bytes(), self._shelf.get)
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise CannotStart(f"cannot read {self._path}: {error.strerror}") from error
        except Unreadable as error:
            self._path.replace(self._path.with_suffix(".bad"))
            logs.warn("state.unreadable", file=self._path, error=error)
            return State()

    def change(self, known: State, step: Step) -> State:
        before = known if known.epoch else replace(known, epoch=self._epoch)
        state = step(before)
        if state is not before:
            for digest, data in state.bundles.items():
                self._shelf.put(digest, data)
            files.save(self._path, state.saved())
            self._shelf.keep_only(state.bundles)
        return state
