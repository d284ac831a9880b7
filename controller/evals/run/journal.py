"""The journal beside a run's results: each call before it is asked, and how it ended, on disk before anything comes of
it. Whoever goes on after a kill asks nothing twice that was answered, and knows what was under way.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from controller.evals.run.answers import Answered, as_mapping, parse_answered
from schemas.record import Usd


class JournalUnusable(Exception):
    """`str(error)` says why, and what would be right."""


def append_line(descriptor: int, value: Mapping[str, Any], *, durable: bool = True) -> None:
    """One write; `durable`: it is on disk when this returns, and survives more than the end of this process."""
    data = memoryview(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n")
    while data:
        data = data[os.write(descriptor, data) :]
    if durable:
        os.fsync(descriptor)


def whole_lines(path: Path) -> list[Any]:
    """The JSON lines of a file of ours. A last line that was cut short is taken off; no file has none.

    Raises:
        JournalUnusable: another line is no JSON.
        OSError: it cannot be read.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    lines = []
    for number, words in enumerate(whole.split(b"\n"), start=1):
        if words.strip():
            try:
                lines.append(json.loads(words))
            except ValueError as error:
                raise JournalUnusable(f"{path}:{number} is no JSON; name another --out, or mend the line") from error
    return lines


class Journal:
    """Opened by one run at a time."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            JournalUnusable: another run has it open, or it is no journal.
            OSError: it cannot be opened.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read()
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise JournalUnusable(f"another run is writing {path.with_suffix('')}; wait for it, or stop it") from error
        except BaseException:
            os.close(self._descriptor)
            raise

    def _read(self) -> None:
        self.identity: Mapping[str, Any] | None = None
        """What the run is of; None before `begin`."""
        self.answered: dict[str, Answered] = {}
        """By key, calls that have ended."""
        self.known_ids: set[str] = set()
        """The gateway's ids of all calls whose cost has been counted."""
        self.open: dict[int, tuple[str, str]] = {}
        """Calls of which nothing is known but that they were asked: their key and their model, by number."""
        self.lost: list[tuple[str, Usd | None]] = []
        """Calls whose answer never arrived: model and cost, None where the gateway does not know it any more."""
        self.paid: list[tuple[str, Usd | None]] = []
        """All the others, those that were asked again included."""
        self._number = 0
        try:
            for line in whole_lines(self._path):
                self._take(line)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise JournalUnusable(f"{self._path} is no journal of a run; name another --out") from error

    def _take(self, line: Mapping[str, Any]) -> None:
        match line:
            case {"run": identity}:
                self.identity = identity
            case {"asked": int(number), "key": key, "model": model}:
                self.open[number] = (key, model)
                self._number = max(self._number, number)
            case {"answered": int(number), "key": key, "call": call}:
                self._took(number, key, parse_answered(call))
            case {"lost": numbers, "ids": ids, "paid": paid}:
                self._lose(numbers, ids, [(model, None if usd is None else Usd(usd)) for model, usd in paid])
            case {"refused": number}:
                del self.open[number]
            case {"forget": keys}:
                for key in keys:
                    self.answered.pop(key, None)
            case _:
                raise ValueError("not a line of ours")

    def begin(self, identity: Mapping[str, Any]) -> None:
        self.identity = identity
        append_line(self._descriptor, {"run": identity})

    def ask(self, key: str, model: str) -> int:
        """Before it is asked. The kill of this process does not undo it, a power cut may."""
        self._number += 1
        self.open[self._number] = (key, model)
        append_line(self._descriptor, {"asked": self._number, "key": key, "model": model}, durable=False)
        return self._number

    def end(self, number: int, answered: Answered) -> None:
        key = self.open[number][0]
        append_line(self._descriptor, {"answered": number, "key": key, "call": as_mapping(answered)})
        self._took(number, key, answered)

    def refuse(self, number: int) -> None:
        """It was not made, and costs nothing."""
        append_line(self._descriptor, {"refused": number}, durable=False)
        del self.open[number]

    def lose(self, numbers: Iterable[int], ids: Iterable[str], paid: Iterable[tuple[str, Usd | None]]) -> None:
        """These have no answer and never will; `ids` are what the gateway's ledger has of them."""
        numbers, ids, paid = list(numbers), list(ids), list(paid)
        written = [[model, None if usd is None else str(usd)] for model, usd in paid]
        append_line(self._descriptor, {"lost": numbers, "ids": ids, "paid": written})
        self._lose(numbers, ids, paid)

    def forget(self, keys: Iterable[str]) -> None:
        """To be asked again."""
        keys = [key for key in keys if key in self.answered]
        if keys:
            append_line(self._descriptor, {"forget": keys})
        for key in keys:
            del self.answered[key]

    def _took(self, number: int, key: str, answered: Answered) -> None:
        _, model = self.open.pop(number)
        self.paid.append((model, answered.cost_usd))
        self.answered[key] = answered
        self.known_ids.add(answered.call_id)

    def _lose(self, numbers: Iterable[int], ids: Iterable[str], paid: Iterable[tuple[str, Usd | None]]) -> None:
        for number in numbers:
            self.open.pop(number, None)
        self.known_ids.update(ids)
        self.lost += paid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
