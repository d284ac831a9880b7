"""A plain folder as a source of rules: watched as it lies, read once it has settled."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Final

from watchfiles import awatch

from controller.errors import SourceUnavailable
from controller.tree import Commit, Entry, Tree, select, tree_of
from schemas.load import folder_revision

SETTLE_SECONDS: Final = 0.05
"""Two readings this far apart must agree: an editor or a copy may be in the middle of many files."""
SETTLE_READINGS: Final = 100
RETRY_SECONDS: Final = 0.5
SAFETY_LOOK_SECONDS: Final = 5.0
"""Some mounts give no events; and the folder itself may be a symbolic link that is swapped."""


class Folder:
    def __init__(self, root: Path, read: Callable[[Path], Tree] | None = None) -> None:
        """`read` gives the folder's rule files as they are now (`read_folder`)."""
        self._root = root.absolute()
        self._tree = Tree("")
        self._read = read or read_folder

    @property
    def name(self) -> str:
        return str(self._root)

    @property
    def retry_seconds(self) -> float:
        return RETRY_SECONDS

    async def looks(self) -> AsyncGenerator[None, None]:
        while True:
            try:
                async with aclosing(_changes(self._root.resolve())) as changes:
                    async for _ in changes:
                        yield
            except (FileNotFoundError, RuntimeError):
                # The folder went away, or the machine is out of watches: looking still works, a little later.
                yield
                await asyncio.sleep(SAFETY_LOOK_SECONDS)

    async def fetch(self) -> str:
        before = await asyncio.to_thread(self._read, self._root)
        for _ in range(SETTLE_READINGS):
            await asyncio.sleep(SETTLE_SECONDS)
            tree = await asyncio.to_thread(self._read, self._root)
            if tree == before:
                self._tree = tree
                return tree.revision
            before = tree
        raise SourceUnavailable(f"{self._root} does not settle: its files change all the time")

    async def read(self, revision: str) -> Tree:
        if revision != self._tree.revision:
            raise SourceUnavailable(f"{revision} is no longer what lies in {self._root}")
        return self._tree

    async def follows(self, revision: str, before: str) -> bool:
        return True  # a folder has no history

    async def history(self, revision: str, paths: Sequence[str], most: int) -> Sequence[Commit]:
        return ()

    async def look_back(self, revision: str) -> Tree:
        return await self.read(revision)


async def _changes(folder: Path) -> AsyncGenerator[None, None]:
    """Yields once the watch stands, so that nothing before the first reading is missed; then at every change."""
    timeout = round(SAFETY_LOOK_SECONDS * 1000)
    watch = awatch(folder, step=50, debounce=400, yield_on_timeout=True, rust_timeout=timeout)
    change = asyncio.ensure_future(anext(watch))
    try:
        await asyncio.sleep(0)  # `awatch` sets up its watch in its first step, before it waits
        while True:
            yield
            await change
            change = asyncio.ensure_future(anext(watch))
    finally:
        change.cancel()
        await asyncio.wait({change})


def read_folder(root: Path) -> Tree:
    """All rule files under a folder. Equal files are one revision.

    Raises:
        SourceUnavailable: the folder cannot be read, or a file of it went away in between.
    """
    try:
        top = root.resolve(strict=True)
        chosen, problems = select(sorted(_entries(top, top), key=lambda entry: entry.path))
        contents = {entry.path: _read(top / entry.path) for entry in chosen}
    except OSError as error:
        raise SourceUnavailable(f"cannot read {error.filename or root}: {error.strerror}") from error
    tree = tree_of("", contents, problems)
    return replace(tree, revision=folder_revision(tree.files))


def _entries(top: Path, folder: Path) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        for item in found:
            if item.name.startswith("."):
                continue
            if item.is_dir(follow_symlinks=False):
                yield from _entries(top, Path(item.path))
                continue
            status = item.stat(follow_symlinks=False)
            path = Path(item.path).relative_to(top).as_posix()
            yield Entry(path, status.st_size, is_regular=stat.S_ISREG(status.st_mode))


def _read(path: Path) -> bytes:
    # O_NOFOLLOW: between listing and reading the file may have become a link.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read()
