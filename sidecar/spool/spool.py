"""Segments on disk: appended before a call goes out and before its last byte reaches the caller; shipped in order.

`write` at once, so that a killed process loses nothing; `fdatasync` in groups, so that a dead machine loses at most the
last 200 ms. A segment goes when everything in it is acknowledged and no call that began in it is still open; the cursor
is durable before anything is unlinked.
"""

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from schemas.record import CallRecord
from sidecar.durable import write_durably
from sidecar.spool.lines import Kind, Line, decode_lines, encode_line

SEGMENT_BYTES = 16 << 20
MAX_SPOOL_BYTES = 256 << 20
"""With no controller to take them the oldest records go first, counted and logged."""
SYNC_SECONDS = 0.2
BATCH_BYTES = 1 << 20
"""Looked at for one batch: a few hundred records."""
MAX_HELD_BYTES = 16 << 20
"""Kept in memory while the disk refuses it."""

log = logging.getLogger("pointsman.spool")


class Cursor(msgspec.Struct, frozen=True):
    """Everything before this place is acknowledged."""

    segment: int
    offset: int


class Spool:
    """A `RecordSink`. One process at a time owns the folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self.dropped_records = 0
        self.damaged_lines = 0
        self.pending = 0
        """Final records not yet acknowledged."""
        self.arrived = asyncio.Event()
        """Set when there is something to ship."""
        self._held: list[bytes] = []
        self._open: dict[str, int] = {}
        self._dirty = False
        self.cursor = self._read_cursor()
        orphans = self._recover()
        self._segment = max([*self._segments(), self.cursor.segment], default=0) + 1
        self._fd = self._create(self._segment)
        self._size = 0
        for record in orphans:
            self.book(record)
        self._fsync()

    def begin(self, record: CallRecord) -> None:
        self._open[record.id] = min(self._segment, self._open.get(record.id, self._segment))
        self._append(b"b", record)

    def book(self, record: CallRecord) -> None:
        self._append(b"f", record)
        self._open.pop(record.id, None)
        self.pending += 1
        self.arrived.set()

    def _append(self, kind: Kind, record: CallRecord) -> None:
        line = encode_line(kind, record)
        if self._held:
            line, self._held = b"".join((*self._held, line)), []
        try:
            written = os.write(self._fd, line)
            self._size += written
            if written < len(line):
                self._held = [line[written:]]  # continues the torn line as soon as the disk takes more
        except OSError as error:
            # The call goes on; the line waits for the disk.
            self._held = [line]
            if len(line) > MAX_HELD_BYTES:
                self._held, self.dropped_records = [], self.dropped_records + line.count(b"\n")
            log.error("spool.write_failed error=%s", error.strerror)
            return
        self._dirty = True
        if self._size >= SEGMENT_BYTES:
            self._turn()

    def _turn(self) -> None:
        self._fsync()
        os.close(self._fd)
        self._segment += 1
        self._fd = self._create(self._segment)
        self._size = 0
        self._keep_bound()

    def _keep_bound(self) -> None:
        segments = self._segments()
        while len(segments) > MAX_SPOOL_BYTES // SEGMENT_BYTES:
            oldest = segments.pop(0)
            lost = sum(1 for line in self._lines(oldest, 0) if line.kind == b"f")
            if self.cursor.segment <= oldest:
                self.dropped_records += lost
                self.pending = max(0, self.pending - lost)
                self._save_cursor(Cursor(oldest + 1, 0))
                log.error("spool.full dropped_records=%d", lost)
            self._path(oldest).unlink()

    async def keep_synced(self) -> None:
        """Group commit, for as long as the sidecar runs."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            if self._dirty:
                self._dirty = False
                await asyncio.to_thread(os.fdatasync, self._fd)

    def close(self) -> None:
        self._fsync()
        os.close(self._fd)

    def unshipped(self) -> tuple[list[bytes], Cursor]:
        """The next final records in order, each as its JSON, and the cursor behind them."""
        cursor = self.cursor
        for segment in [number for number in self._segments() if number >= self.cursor.segment]:
            if segment > cursor.segment:
                cursor = Cursor(segment, 0)
            records: list[bytes] = []
            for line in self._lines(segment, cursor.offset, BATCH_BYTES):
                cursor = Cursor(segment, line.end)
                if line.kind == b"f":
                    records.append(line.json)
            if records:
                return records, cursor
        return [], cursor

    def acknowledge(self, cursor: Cursor, records: int) -> None:
        """The controller has everything before `cursor`, durably."""
        self._save_cursor(cursor)
        self.pending = max(0, self.pending - records)
        oldest_open = min(self._open.values(), default=self._segment)
        for segment in self._segments():
            if segment < min(cursor.segment, oldest_open, self._segment):
                self._path(segment).unlink()

    def _recover(self) -> list[CallRecord]:
        """What a process before this one left: calls that began and never ended, to be booked as they stand."""
        begun: dict[str, CallRecord] = {}
        for segment in self._segments():
            for line in self._lines(segment, 0):
                record = line.record()
                if line.kind == b"b":
                    begun[record.id] = record
                    continue
                begun.pop(record.id, None)
                if (segment, line.end) > (self.cursor.segment, self.cursor.offset):
                    self.pending += 1
        if begun:
            log.warning("spool.recovered unknown_outcomes=%d", len(begun))
        return list(begun.values())

    def _lines(self, segment: int, start: int, most: int = -1) -> Iterator[Line]:
        """Whole, undamaged lines from an offset; `most` bounds how many bytes are looked at."""
        with self._path(segment).open("rb") as file:
            file.seek(start)
            data = file.read(most)
        for line in decode_lines(data):
            if isinstance(line, Line):
                yield Line(line.kind, line.json, start + line.end)
            else:
                self.damaged_lines += 1
                log.error("spool.damaged_line segment=%d end=%d", segment, start + line)

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.log"))

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:08d}.log"

    def _create(self, segment: int) -> int:
        return os.open(self._path(segment), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _fsync(self) -> None:
        os.fdatasync(self._fd)
        self._dirty = False

    def _read_cursor(self) -> Cursor:
        try:
            return msgspec.json.decode((self._folder / "cursor.json").read_bytes(), type=Cursor)
        except FileNotFoundError:
            return Cursor(0, 0)
        except msgspec.DecodeError:
            # Shipping again what is there is safe: booking is idempotent.
            log.error("spool.cursor_unreadable")
            return Cursor(0, 0)

    def _save_cursor(self, cursor: Cursor) -> None:
        write_durably(self._folder / "cursor.json", msgspec.json.encode(cursor))
        self.cursor = cursor
