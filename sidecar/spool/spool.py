"""Segments on disk: appended before a call goes out and before its last byte reaches the caller; shipped in order.

`write` at once, so that a killed process loses nothing; `fdatasync` in groups, so that a dead machine loses at most the
last 200 ms. A segment goes when everything in it is acknowledged and no call that began in it is still open; the cursor
is durable before anything is unlinked.
"""

import asyncio
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from schemas.record import CallRecord, Feedback
from sidecar.durable import write_durably
from sidecar.spool.lines import BEGUN, FINAL, SAID, SHIPPED, Kind, Line, decode_lines, encode_line

SEGMENT_BYTES = 16 << 20
MAX_SPOOL_BYTES = 256 << 20
"""With no controller to take them the oldest records go first, counted and logged."""
SYNC_SECONDS = 0.2
BATCH_BYTES = 1 << 20
"""Of lines in one batch, at least: a few hundred records."""
PIECE_BYTES = 1 << 20
"""Read at once: a segment is never in memory whole."""
MAX_HELD_BYTES = 16 << 20
"""Kept in memory while the disk refuses it."""

log = logging.getLogger("pointsman.spool")


class Cursor(msgspec.Struct, frozen=True):
    """Everything before this place is acknowledged."""

    segment: int
    offset: int


class Spool:
    """A `RecordSink`. One process at a time owns the folder: another one raises OSError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._lock = _own(folder)
        self.dropped_records = 0
        self.refused_records = 0
        self.pending = 0
        """Final records not yet acknowledged."""
        self.arrived = asyncio.Event()
        """Set when there is something to ship."""
        self._held: list[tuple[Kind, bytes]] = []
        """Lines, or the rest of one, that the disk has not taken yet."""
        self._torn = False
        """The last line on disk is unfinished: the first held one continues it."""
        self._open: dict[str, int] = {}
        self._damaged: set[tuple[int, int]] = set()
        self._trouble = ""
        self._dirty = False
        self.cursor = self._read_cursor()
        orphans = self._recover()
        self._segment = max([*self._segments(), self.cursor.segment], default=0) + 1
        self._fd = self._create(self._segment)
        self._size = 0
        for record in orphans:
            self.book(record)
        if self.pending:
            self.arrived.set()
        os.fdatasync(self._fd)

    @property
    def damaged_lines(self) -> int:
        return len(self._damaged)

    def bytes_on_disk(self) -> int:
        return sum(self._path(number).stat().st_size for number in self._segments())

    def begin(self, record: CallRecord) -> None:
        self._open[record.id] = min(self._segment, self._open.get(record.id, self._segment))
        self._append(BEGUN, record)

    def book(self, record: CallRecord) -> None:
        self.pending += 1
        self._append(FINAL, record)
        self._open.pop(record.id, None)
        self.arrived.set()

    def hear(self, feedback: Feedback) -> None:
        self.pending += 1
        self._append(SAID, feedback)
        self.arrived.set()

    def _append(self, kind: Kind, record: CallRecord | Feedback) -> None:
        self._held.append((kind, encode_line(kind, record)))
        self._write_held()

    def _write_held(self) -> None:
        """What the disk refuses waits; the call goes on."""
        try:
            written = os.write(self._fd, b"".join(line for _, line in self._held))
        except OSError as error:
            self._complain("spool.write_failed", error)
            if sum(len(line) for _, line in self._held) > MAX_HELD_BYTES:
                self._drop_held()
            return
        self._size += written
        self._dirty = True
        while self._held and written >= len(self._held[0][1]):
            written -= len(self._held.pop(0)[1])
            self._torn = False
        if self._held:
            kind, line = self._held[0]
            self._held[0], self._torn = (kind, line[written:]), self._torn or written > 0
            return
        self._trouble = ""
        if self._size >= SEGMENT_BYTES:
            self._turn()

    def _drop_held(self) -> None:
        lost = sum(kind in SHIPPED for kind, _ in self._held)
        self.dropped_records += lost
        self.pending -= lost
        # A torn line is ended, or it would spoil the next one.
        self._held = [(b"b", b"\n")] if self._torn else []
        log.error("spool.dropped records=%d", lost)

    def _turn(self) -> None:
        try:
            fd = self._create(self._segment + 1)
        except OSError as error:
            self._complain("spool.not_turned", error)  # this segment grows on
            return
        self._sync()
        os.close(self._fd)
        self._fd, self._segment, self._size = fd, self._segment + 1, 0
        self._keep_bound()

    def _keep_bound(self) -> None:
        """Unlinks what is over the bound. A cursor that is left behind finds the oldest segment there is."""
        sizes = [(number, self._path(number).stat().st_size) for number in self._segments() if number < self._segment]
        excess = sum(size for _, size in sizes) - MAX_SPOOL_BYTES + SEGMENT_BYTES
        for oldest, size in sizes:
            if excess <= 0:
                return
            excess -= size
            if self.cursor.segment <= oldest:
                start = self.cursor.offset if self.cursor.segment == oldest else 0
                lost = sum(1 for line in self._lines(oldest, start) if line.kind in SHIPPED)
                self.cursor = Cursor(oldest + 1, 0)
                self.dropped_records += lost
                self.pending -= lost
                log.error("spool.full dropped_records=%d", lost)
            self._unlink(oldest)

    async def keep_synced(self) -> None:
        """Group commit, for as long as the sidecar runs; and what the disk has refused, again."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            if self._held:
                self._write_held()
            if self._dirty:
                self._dirty = False
                try:
                    await asyncio.to_thread(os.fdatasync, self._fd)
                except OSError as error:
                    self._dirty = True
                    self._complain("spool.not_synced", error)

    def close(self) -> None:
        if self._held:
            self._write_held()
        if self._held:
            self._drop_held()
        self._sync()
        os.close(self._fd)
        os.close(self._lock)

    def every_unshipped(self) -> Iterator[Line]:
        """All final records and all feedback that nobody has acknowledged, in order."""
        lines, cursor = self.unshipped()
        while lines:
            yield from lines
            lines, cursor = self.unshipped(cursor)

    def unshipped(self, after: Cursor | None = None) -> tuple[list[Line], Cursor]:
        """The next final records and feedback in order, and the cursor behind them.

        `after`: in place of what was acknowledged last.

        May run in a thread beside the other methods: it changes nothing, and a segment may go while it looks.
        """
        cursor = start = after or self.cursor
        for segment in [number for number in self._segments() if number >= start.segment]:
            if segment > cursor.segment:
                cursor = Cursor(segment, 0)
            lines: list[Line] = []
            seen = 0
            for line in self._lines(segment, cursor.offset):
                seen += len(line.json)
                cursor = Cursor(segment, line.end)
                if line.kind in SHIPPED:
                    lines.append(line)
                    if seen > BATCH_BYTES:
                        break
            if lines:
                return lines, cursor
        return [], cursor

    def acknowledge(self, cursor: Cursor, records: int) -> None:
        """The controller has everything before `cursor`, durably. Raises OSError: then it is shipped again."""
        if (cursor.segment, cursor.offset) <= (self.cursor.segment, self.cursor.offset):
            return  # the bound has dropped these meanwhile
        write_durably(self._folder / "cursor.json", msgspec.json.encode(cursor))
        self.cursor = cursor
        self.pending -= records
        if self._held:
            return  # what is open is not known to the disk yet
        oldest_open = min(self._open.values(), default=self._segment)
        for segment in self._segments():
            if segment < min(cursor.segment, oldest_open, self._segment):
                self._unlink(segment)

    def set_aside(self, record: bytes, why: str) -> None:
        """Kept for a person to look at, in `refused.jsonl`: the controller will never take it. Raises OSError."""
        fd = os.open(self._folder / "refused.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, record + b"\n")
        finally:
            os.close(fd)
        self.refused_records += 1
        log.error("spool.refused error=%s", why)

    def _recover(self) -> list[CallRecord]:
        """What a process before this one left: calls that began and never ended, to be booked as they stand."""
        begun: dict[str, CallRecord] = {}
        for segment in self._segments():
            for line in self._lines(segment, 0):
                if line.kind != SAID:
                    try:
                        record = line.record()
                    except (msgspec.DecodeError, UnicodeDecodeError) as error:
                        self._note_damage(segment, line.end, str(error))
                        continue
                    if line.kind == BEGUN:
                        begun[record.id] = record
                        continue
                    begun.pop(record.id, None)
                if (segment, line.end) > (self.cursor.segment, self.cursor.offset):
                    self.pending += 1
        if begun:
            log.warning("spool.recovered unknown_outcomes=%d", len(begun))
        return list(begun.values())

    def _lines(self, segment: int, start: int) -> Iterator[Line]:
        """Whole, undamaged lines from an offset. Reads a piece at a time."""
        try:
            with self._path(segment).open("rb") as file:
                file.seek(start)
                rest = b""
                while data := file.read(PIECE_BYTES):
                    rest += data
                    read = 0
                    for line in decode_lines(rest):
                        read = line.end if isinstance(line, Line) else line
                        if isinstance(line, Line):
                            yield Line(line.kind, line.json, start + read)
                        else:
                            self._note_damage(segment, start + read, "checksum")
                    start, rest = start + read, rest[read:]
        except FileNotFoundError:
            return

    def _note_damage(self, segment: int, end: int, what: str) -> None:
        """Once for each line, however often it is read."""
        if (segment, end) not in self._damaged:
            self._damaged.add((segment, end))
            log.error("spool.damaged_line segment=%d end=%d error=%s", segment, end, what)

    def _complain(self, event: str, error: OSError) -> None:
        """Once for each kind of trouble, not once for each call that meets it."""
        trouble = f"{event} error={error.strerror}"
        if trouble != self._trouble:
            self._trouble = trouble
            log.error("%s", trouble)

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.log"))

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:08d}.log"

    def _create(self, segment: int) -> int:
        return os.open(self._path(segment), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _unlink(self, segment: int) -> None:
        try:
            self._path(segment).unlink(missing_ok=True)
        except OSError as error:
            self._complain("spool.not_unlinked", error)

    def _sync(self) -> None:
        try:
            os.fdatasync(self._fd)
            self._dirty = False
        except OSError as error:
            self._complain("spool.not_synced", error)

    def _read_cursor(self) -> Cursor:
        try:
            return msgspec.json.decode((self._folder / "cursor.json").read_bytes(), type=Cursor)
        except FileNotFoundError:
            return Cursor(0, 0)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Shipping again what is there is safe: booking is idempotent.
            log.error("spool.cursor_unreadable")
            return Cursor(0, 0)


def _own(folder: Path) -> int:
    """The lock of a folder, held until it is closed or its process ends. Raises OSError when another one has it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise OSError(
            errno.EBUSY, f"another sidecar uses the state folder {folder.parent}; --state names one"
        ) from error
    return lock
