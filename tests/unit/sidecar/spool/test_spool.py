"""The spool: nothing final is lost, nothing is shipped twice once acknowledged, orphans are booked."""

import asyncio
import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from schemas.record import Feedback
from sidecar.spool import spool as module
from sidecar.spool.lines import Line, encode_line
from sidecar.spool.spool import Spool
from tests.fakes.records import begun, record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path) -> Iterator[Spool]:
    made = Spool(folder)
    yield made
    made.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few lines, and a bound of four of them."""
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(module, "MAX_SPOOL_BYTES", 8_000)
    monkeypatch.setattr(module, "BATCH_BYTES", 1_000)
    monkeypatch.setattr(module, "PIECE_BYTES", 700)


def ids(lines: list[Line]) -> list[str]:
    return [json.loads(line.json).get("id", "said") for line in lines]


def ship_all(spool: Spool) -> list[str]:
    """What a controller gets that takes everything."""
    shipped: list[str] = []
    while True:
        records, cursor = spool.unshipped()
        if not records:
            return shipped
        shipped += ids(records)
        spool.acknowledge(cursor, len(records))


def after_a_crash(folder: Path, where: Path) -> Spool:
    """A new process on what the old one left on disk."""
    shutil.copytree(folder, where)
    return Spool(where)


def test_only_finals_are_shipped_in_order_and_once(spool: Spool) -> None:
    for name in ("a", "b"):
        spool.begin(begun(name))
    spool.book(record("b"))
    spool.book(record("a"))
    assert spool.pending == 2
    assert spool.arrived.is_set()
    assert ship_all(spool) == ["b", "a"]
    assert spool.pending == 0
    assert ship_all(spool) == []


def test_it_says_how_much_of_the_disk_it_has(spool: Spool, folder: Path) -> None:
    before = spool.bytes_on_disk()
    spool.book(record("a"))
    assert spool.bytes_on_disk() == sum(path.stat().st_size for path in folder.glob("*.log")) > before


def test_what_is_said_of_calls_is_shipped_like_them(spool: Spool, folder: Path, tmp_path: Path) -> None:
    spool.begin(begun("a"))
    spool.book(record("a"))
    spool.hear(Feedback(call="a", at="2026-11-26T07:00:00.000Z", sidecar="s-1", score=1.0))
    later = after_a_crash(folder, tmp_path / "later")
    assert later.pending == spool.pending == 2
    assert ship_all(later) == ship_all(spool) == ["a", "said"]
    assert ship_all(after_a_crash(tmp_path / "later", tmp_path / "last")) == []


def test_what_is_not_acknowledged_is_shipped_again(spool: Spool, folder: Path, tmp_path: Path) -> None:
    spool.book(record("a"))
    assert ids(spool.unshipped()[0]) == ["a"]
    later = after_a_crash(folder, tmp_path / "later")
    assert later.pending == 1
    assert ship_all(later) == ["a"]
    later.close()


def test_what_an_earlier_process_left_is_there_to_be_shipped_before_any_call(
    spool: Spool, folder: Path, tmp_path: Path
) -> None:
    spool.book(record("a"))
    later = after_a_crash(folder, tmp_path / "later")
    assert later.arrived.is_set()
    assert ship_all(later) == ["a"]
    later.close()
    last = after_a_crash(tmp_path / "later", tmp_path / "last")
    assert not last.arrived.is_set()
    last.close()


def test_an_acknowledgement_survives_a_crash(spool: Spool, folder: Path, tmp_path: Path) -> None:
    spool.book(record("a"))
    ship_all(spool)
    spool.book(record("b"))
    later = after_a_crash(folder, tmp_path / "later")
    assert later.pending == 1
    assert ship_all(later) == ["b"]
    later.close()


def test_a_call_that_was_open_at_a_crash_is_booked_once_as_it_began(spool: Spool, folder: Path, tmp_path: Path) -> None:
    spool.begin(begun("a"))
    spool.begin(begun("a"))  # its second attempt
    spool.begin(begun("b"))
    spool.book(record("b"))
    later = after_a_crash(folder, tmp_path / "later")
    assert sorted(ship_all(later)) == ["a", "b"]
    again = after_a_crash(tmp_path / "later", tmp_path / "again")
    assert ship_all(again) == []
    later.close()
    again.close()


def test_a_segment_stays_as_long_as_a_call_that_began_in_it_is_open(
    small: None, spool: Spool, folder: Path, tmp_path: Path
) -> None:
    spool.begin(begun("long"))
    for number in range(12):
        spool.book(record(f"c{number}"))
    ship_all(spool)
    assert (folder / "00000001.log").exists()
    crashed = after_a_crash(folder, tmp_path / "crashed")
    assert ship_all(crashed) == ["long"]
    crashed.close()
    spool.book(record("long"))
    assert ship_all(spool) == ["long"]
    assert not (folder / "00000001.log").exists()


@pytest.mark.usefixtures("small")
def test_begun_calls_without_an_end_never_hide_the_ends_behind_them(spool: Spool) -> None:
    """More of them than one batch holds: neither stuck at them, nor past what follows."""
    for number in range(4):
        spool.begin(begun(f"open-{number}"))
    spool.book(record("x"))
    for number in range(4, 12):
        spool.begin(begun(f"open-{number}"))
    spool.book(record("y"))
    assert ship_all(spool) == ["x", "y"]


@pytest.mark.usefixtures("small")
def test_over_its_bound_the_oldest_go_and_the_counter_is_exact(spool: Spool, folder: Path) -> None:
    for number in range(60):
        spool.book(record(f"c{number}"))
    assert sum(path.stat().st_size for path in folder.glob("*.log")) <= 8_000 + 1_000
    shipped = ship_all(spool)
    assert spool.dropped_records == 60 - len(shipped) > 0
    assert shipped == [f"c{number}" for number in range(spool.dropped_records, 60)]
    assert spool.pending == 0


@pytest.mark.usefixtures("small")
def test_what_was_acknowledged_is_not_counted_as_dropped(spool: Spool) -> None:
    spool.book(record("first"))
    ship_all(spool)
    for number in range(60):
        spool.book(record(f"c{number}"))
    assert spool.dropped_records + len(ship_all(spool)) == 60


@pytest.mark.usefixtures("small")
def test_an_acknowledgement_that_comes_after_the_bound_took_its_segment_changes_nothing(spool: Spool) -> None:
    spool.book(record("first"))
    records, cursor = spool.unshipped()
    for number in range(60):
        spool.book(record(f"c{number}"))
    before = spool.cursor
    spool.acknowledge(cursor, len(records))
    assert spool.cursor == before
    assert spool.pending == len(ship_all(spool))


@pytest.mark.usefixtures("small")
def test_restarts_without_a_controller_cost_no_record(folder: Path) -> None:
    """It is bytes that the bound is about, not how many files they lie in."""
    for number in range(10):
        spool = Spool(folder)
        spool.book(record(f"r{number}"))
        spool.close()
    spool = Spool(folder)
    for number in range(4):
        spool.book(record(f"c{number}"))
    assert spool.dropped_records == 0
    assert len(ship_all(spool)) == 14
    spool.close()


def test_a_segment_that_goes_while_it_is_looked_at_is_no_error(spool: Spool, folder: Path) -> None:
    spool.book(record("a"))
    segments = spool._segments
    spool._segments = lambda: [1, *segments(), 99]  # type: ignore[method-assign]
    assert ids(spool.unshipped()[0]) == ["a"]


@pytest.mark.parametrize("cursor", [b"", b"{", b"\xff\xff", b"[]", b'{"segment":"x"}', b'{"segment":7,"offset":9999}'])
def test_a_cursor_that_cannot_be_right_loses_nothing_that_comes_after(folder: Path, cursor: bytes) -> None:
    folder.mkdir()
    (folder / "cursor.json").write_bytes(cursor)
    spool = Spool(folder)
    spool.book(record("a"))
    assert ship_all(spool) == ["a"]
    spool.close()


def test_a_cursor_beyond_its_segment_s_data_is_at_its_end(folder: Path) -> None:
    folder.mkdir()
    (folder / "00000001.log").write_bytes(encode_line(b"f", record("a")))
    (folder / "cursor.json").write_bytes(b'{"segment":1,"offset":999999}')
    spool = Spool(folder)
    spool.book(record("b"))
    assert ship_all(spool) == ["b"]
    spool.close()


def test_a_damaged_line_is_counted_once_and_costs_no_other(folder: Path) -> None:
    folder.mkdir()
    lines = [encode_line(b"f", record(name)) for name in ("a", "b", "c")]
    lines[1] = lines[1].replace(b'"alpha"', b'"alphb"', 1)
    (folder / "00000001.log").write_bytes(b"".join(lines))
    spool = Spool(folder)
    assert ship_all(spool) == ["a", "c"]
    assert spool.damaged_lines == 1
    spool.close()


def test_a_line_of_another_version_does_not_stop_the_start(folder: Path) -> None:
    folder.mkdir()
    body = b'f {"something":"else"}'
    whole = encode_line(b"f", record("a"))
    (folder / "00000001.log").write_bytes(b"%08x %b\n" % (crc32(body), body) + whole)
    spool = Spool(folder)
    assert spool.damaged_lines == 1
    assert spool.pending == 1
    spool.close()


def test_two_sidecars_do_not_share_a_state_folder(spool: Spool, folder: Path) -> None:
    spool.begin(begun("a"))
    with pytest.raises(OSError, match="another sidecar uses the state folder"):
        Spool(folder)
    spool.book(record("a"))
    assert ship_all(spool) == ["a"], "the call was not booked as an orphan"


FULL_DISK = """
import json, os, resource, sys
from pathlib import Path
from sidecar.spool.spool import Spool
from tests.fakes.records import begun, record

spool = Spool(Path(sys.argv[1]))
spool.book(record("before"))
size = spool._path(spool._segment).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + int(sys.argv[2]), resource.RLIM_INFINITY))
for number in range(3):
    spool.begin(begun(f"c{number}"))
    spool.book(record(f"c{number}"))
if sys.argv[3] == "recovers":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    spool.book(record("after"))
shipped = []
while (batch := spool.unshipped())[0]:
    shipped += [json.loads(line.json)["id"] for line in batch[0]]
    try:
        spool.acknowledge(batch[1], len(batch[0]))
    except OSError as error:
        print(error.errno, file=sys.stderr)
        break
spool.close()
print(json.dumps({"shipped": shipped, "pending": spool.pending, "dropped": spool.dropped_records,
                  "damaged": spool.damaged_lines}))
"""


def on_a_full_disk(folder: Path, room: int, then: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), str(room), then],
        check=True, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("room", [0, 1, 100, 600, 1500])
def test_what_a_full_disk_refuses_is_written_when_it_has_room_again(folder: Path, room: int) -> None:
    assert on_a_full_disk(folder, room, "recovers") == {
        "shipped": ["before", "c0", "c1", "c2", "after"],
        "pending": 0,
        "dropped": 0,
        "damaged": 0,
    }


def test_what_a_disk_that_stays_full_costs_is_counted(folder: Path) -> None:
    found = on_a_full_disk(folder, 100, "stays full")
    assert found["shipped"] == ["before"]
    assert found["dropped"] == 3
    spool = Spool(folder)
    assert ship_all(spool) == []
    spool.close()


def _until_the_disk_has_it(spool: Spool) -> None:
    patience = time.monotonic() + 5
    while not spool.unshipped()[0] and time.monotonic() < patience:
        time.sleep(0.001)


class Disk:
    """Stands where `os.write` stands: takes so many bytes, then none until it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr(module.os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if self.room is None:
            return self._write(fd, data)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(fd, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 50, 700])
def test_dropping_what_is_held_spoils_nothing_that_is_written_later(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 2_000)
    disk = Disk(monkeypatch)
    disk.room = room
    for number in range(9):
        spool.begin(begun(f"c{number}"))
        spool.book(record(f"c{number}"))
    disk.room = None
    spool.book(record("after"))
    shipped = ship_all(spool)
    assert shipped[-1] == "after"
    assert spool.dropped_records == 10 - len(shipped) > 0
    assert spool.pending == 0


def test_a_segment_that_cannot_be_begun_leaves_the_old_one_in_use(
    small: None, spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = spool._create
    monkeypatch.setattr(spool, "_create", lambda _segment: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space")))
    for number in range(6):
        spool.book(record(f"c{number}"))
    assert len(list(folder.glob("*.log"))) == 1
    monkeypatch.setattr(spool, "_create", create)
    spool.book(record("after"))
    assert len(list(folder.glob("*.log"))) == 2
    assert ship_all(spool) == [*(f"c{number}" for number in range(6)), "after"]


async def test_a_disk_that_cannot_be_synced_does_not_end_the_sidecar(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fails(_fd: int) -> None:
        loop.call_soon_threadsafe(tries.set)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "SYNC_SECONDS", 0.001)
    with monkeypatch.context() as broken:
        broken.setattr(module.os, "fdatasync", fails)
        work = asyncio.ensure_future(spool.keep_synced())
        for _ in range(3):
            spool.book(record("a"))
            tries.clear()
            await asyncio.wait_for(tries.wait(), 5)
        assert not work.done()
        work.cancel()
        await asyncio.wait([work])


async def test_what_the_disk_refused_is_written_without_another_call(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.001)
    disk = Disk(monkeypatch)
    disk.room = 0
    spool.book(record("a"))
    assert spool.unshipped()[0] == []
    disk.room = None
    work = asyncio.ensure_future(spool.keep_synced())
    await asyncio.to_thread(_until_the_disk_has_it, spool)
    work.cancel()
    await asyncio.wait([work])
    assert ship_all(spool) == ["a"]


def test_records_are_readable_by_their_owner_only(spool: Spool, folder: Path) -> None:
    spool.book(record("a"))
    ship_all(spool)
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
