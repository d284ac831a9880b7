"""The spool under any sequence of calls, shipments and crashes, a torn tail included: held against a model."""

import json
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.spool import spool as module
from sidecar.spool.lines import Line, decode_lines
from sidecar.spool.spool import Spool
from tests.fakes.records import begun, record

CALLS = st.integers(0, 5).map(lambda number: f"c{number}")
Action = tuple[str, str | int]
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), CALLS),
        st.tuples(st.just("book"), CALLS),
        st.tuples(st.sampled_from(["ship", "lose the answer", "close", "crash"]), st.just("")),
        st.tuples(st.just("tear"), st.integers(1, 900)),
    ),
    max_size=40,
)


class World:
    """One state folder through many processes, and the controller's ledger."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._life = 0
        self.spool = Spool(root / "0")
        self.ledger: dict[str, str] = {}
        self.told: list[str] = []
        """Ids that this controller acknowledged."""
        self.open: set[str] = set()
        self.final: dict[str, str] = {}
        """What must come out in the end: the first final of each call."""

    def begin(self, call: str) -> None:
        if call not in self.final:
            self.spool.begin(begun(call))
            self.open.add(call)

    def book(self, call: str) -> None:
        if call in self.open:
            self.spool.book(record(call))
            self.open.remove(call)
            self.final[call] = "ok"

    def ship(self, acknowledged: bool = True) -> bool:
        records, cursor = self.spool.unshipped()
        for line in records:
            found = json.loads(line.json)
            assert found["id"] not in self.told, "acknowledged, and shipped again"
            self.ledger.setdefault(found["id"], found["outcome"])
        if records and acknowledged:
            self.told += [json.loads(line.json)["id"] for line in records]
            self.spool.acknowledge(cursor, len(records))
        return bool(records)

    def restart(self, *, tear: int = 0, clean: bool = False) -> None:
        """The process ends; the next one finds what was on disk, less a torn tail. Open calls end as they began."""
        if clean:
            self.spool.close()
        before = self._root / str(self._life)
        self._life += 1
        after = self._root / str(self._life)
        shutil.copytree(before, after)
        if not clean:
            self.spool.close()
        self._forget(after, tear)
        self.final |= dict.fromkeys(self.open, "unknown_outcome")
        self.open = set()
        self.spool = Spool(after)

    def _forget(self, folder: Path, tear: int) -> None:
        newest = max(folder.glob("*.log"))
        data = newest.read_bytes()
        # What the controller has acknowledged was synced before: only what came later can be torn.
        kept = self.spool.cursor.offset if self.spool.cursor.segment == int(newest.stem) else 0
        whole = data[: max(kept, len(data) - tear)]
        newest.write_bytes(whole)
        left = {(line.kind, line.record().id) for line in decode_lines(whole) if isinstance(line, Line)}
        for line in decode_lines(data):
            assert isinstance(line, Line)
            kind, call = line.kind, line.record().id
            if (kind, call) in left:
                continue
            if kind == b"f" and self.final.get(call):
                del self.final[call]
                self.open.add(call)
            if kind == b"b" and not self._is_begun(folder, call):
                self.open.discard(call)

    def _is_begun(self, folder: Path, call: str) -> bool:
        lines = [line for path in folder.glob("*.log") for line in decode_lines(path.read_bytes())]
        return any(isinstance(line, Line) and line.record().id == call for line in lines)


@settings(max_examples=40, deadline=None)
@given(ACTIONS)
def test_nothing_final_is_lost_nothing_is_doubled_and_orphans_are_booked_once(
    actions: list[Action],
) -> None:
    with (
        tempfile.TemporaryDirectory() as root,
        mock.patch.multiple(module, SEGMENT_BYTES=1_500, BATCH_BYTES=600, PIECE_BYTES=500),
    ):
        world = World(Path(root))
        for action, detail in actions:
            match action:
                case "begin":
                    world.begin(str(detail))
                case "book":
                    world.book(str(detail))
                case "ship":
                    world.ship()
                case "lose the answer":
                    world.ship(acknowledged=False)
                case "close":
                    world.restart(clean=True)
                case "crash":
                    world.restart()
                case "tear":
                    assert isinstance(detail, int)
                    world.restart(tear=detail)
        world.restart()
        while world.ship():
            pass
        assert world.ledger.keys() >= world.final.keys(), "lost"
        assert world.spool.pending == 0
        for call, outcome in world.final.items():
            assert world.ledger[call] == outcome or outcome == "unknown_outcome", call
        again = world.told
        world.restart()
        assert not world.ship()
        assert len(again) == len(set(again))
        world.spool.close()
