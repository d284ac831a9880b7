"""A whole run: every server up, one under load at a time, bursts in turn over all rows, rounds in alternating order."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.bench import live, measures
from tests.bench.live import DidNotStart, Live
from tests.bench.measures import BURSTS, Asked, Burst, Load
from tests.bench.native import Programs
from tests.bench.payloads import PLAIN, encode_body
from tests.bench.targets import Row

MEMORY_CALLS = Burst("memory", PLAIN, 16, 0.0)


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and where to measure."""

    rounds: int
    scale: float
    """Stretches or shortens the bursts."""
    memory_calls: int
    """Calls before the loaded memory is read; 0 leaves it out."""
    proxy_core: int
    load_core: int


@dataclass(slots=True)
class Outcome:
    """What a run found out about one row."""

    rounds: list[dict[str, float]]
    missing: str = ""
    """Why the row has no numbers."""
    failures: list[str] = field(default_factory=list)
    """Bursts that went wrong; their numbers are left out."""
    calls: int = 0
    """Calls that were answered, warm-up included."""
    errors: int = 0
    """Calls that were not, or not as they should be."""


class Run:
    """One run over `rows`. What is started here is stopped when `measure` returns."""

    def __init__(self, rows: Sequence[Row], settings: Settings, programs: Programs, folder: Path) -> None:
        self.rows = rows
        self.settings = settings
        self.programs = programs
        self.folder = folder
        self.outcomes = {row.name: Outcome([{} for _ in range(settings.rounds)]) for row in rows}
        self.servers: dict[str, Live] = {}
        self.starts = 0

    def measure(self) -> Mapping[str, Outcome]:
        """Start, measure, stop. A server that does not work is an outcome, not an error."""
        self.upstream = live.start_upstream(self.programs.upstream, self.settings.load_core)
        try:
            for turn in range(self.settings.rounds):
                self._measure_starts(turn)
            self._prove_rows()
            for turn in range(self.settings.rounds):
                self._measure_bursts(turn)
            if self.settings.memory_calls:
                self._measure_memory()
        finally:
            for server in self.servers.values():
                server.process.stop()
            self.upstream.stop()
        return self.outcomes

    def _measure_starts(self, turn: int) -> None:
        """Start every server anew; the last start stays up for the bursts."""
        for row in self._first_rows():
            if server := self._restart(row):
                self.outcomes[row.name].rounds[turn]["start.seconds"] = server.start_seconds
                self.outcomes[row.name].rounds[turn]["memory.idle_mb"] = server.process.rss_mb()

    def _prove_rows(self) -> None:
        """A row that shares its server has not been called yet; a server that lacks it is told here."""
        for row in self._working_rows():
            before = self.upstream.counts()
            headers = row.headers_at(self.upstream.port)
            wrong = live.call_once(self._port(row), row.model, headers) or _strays(row, before, self.upstream.counts())
            if wrong:
                self.outcomes[row.name].missing = wrong

    def _measure_bursts(self, turn: int) -> None:
        for burst in BURSTS:
            for row in self._working_rows()[:: 1 if turn % 2 == 0 else -1]:
                self._measure_burst(turn, burst, row)
        _tell(f"round {turn + 1} of {self.settings.rounds} done")

    def _measure_burst(self, turn: int, burst: Burst, row: Row) -> None:
        outcome, server = self.outcomes[row.name], self._live(row)
        before = self.upstream.counts()
        cpu_before = server.process.cpu_seconds() if server else 0.0
        try:
            asked = self._asked(burst, row)
            load = measures.run_load(self.programs.load, self._port(row), asked, burst, self.settings.scale)
        except (subprocess.CalledProcessError, msgspec.DecodeError) as error:
            outcome.failures.append(f"{burst.name}: {error}")
            return
        cpu_seconds = server.process.cpu_seconds() - cpu_before if server else None
        _count(outcome, load)
        if wrong := _faults(load) or _strays(row, before, self.upstream.counts()):
            outcome.failures.append(f"{burst.name}: {wrong}")
        else:
            outcome.rounds[turn].update(measures.numbers(burst, load, cpu_seconds))

    def _measure_memory(self) -> None:
        """Once, on a fresh start, so that no earlier burst counts."""
        for row in self._first_rows():
            server = self._restart(row)
            if server is None:
                continue
            asked = self._asked(MEMORY_CALLS, row)
            load = measures.run_calls(self.programs.load, server.port, asked, MEMORY_CALLS, self.settings.memory_calls)
            _count(self.outcomes[row.name], load)
            if wrong := _faults(load):
                self.outcomes[row.name].failures.append(f"memory: {wrong}")
            else:
                self.outcomes[row.name].rounds[0]["memory.loaded_mb"] = server.process.rss_mb()

    def _restart(self, row: Row) -> Live | None:
        assert row.server is not None
        if old := self.servers.pop(row.server.name, None):
            old.process.stop()
        self.starts += 1
        folder = self.folder / f"{row.server.name}-{self.starts}"
        try:
            server = live.start(
                row, row.server, folder, upstream_port=self.upstream.port, core=self.settings.proxy_core
            )
        except DidNotStart as error:
            for sharing in self.rows:
                if sharing.server is row.server:
                    self.outcomes[sharing.name].missing = f"did not start: {error}"
            return None
        self.servers[row.server.name] = server
        return server

    def _first_rows(self) -> list[Row]:
        """One row for each server that can be started."""
        for row in self.rows:
            if row.server and row.server.missing:
                self.outcomes[row.name].missing = row.server.missing
        by_server = {row.server.name: row for row in reversed(self.rows) if row.server}
        return [row for row in by_server.values() if not self.outcomes[row.name].missing][::-1]

    def _working_rows(self) -> list[Row]:
        return [row for row in self.rows if not self.outcomes[row.name].missing]

    def _live(self, row: Row) -> Live | None:
        return self.servers[row.server.name] if row.server else None

    def _port(self, row: Row) -> int:
        server = self._live(row)
        return server.port if server else self.upstream.port

    def _asked(self, burst: Burst, row: Row) -> Asked:
        path = self.folder / f"{burst.payload.name}.{row.name}.json"
        if not path.exists():
            path.write_bytes(encode_body(burst.payload, row.model))
        return Asked(path, row.headers_at(self.upstream.port))


def _count(outcome: Outcome, load: Load) -> None:
    outcome.calls += load.calls_with_warm_up
    outcome.errors += load.errors


def _faults(load: Load) -> str:
    if load.errors:
        return f"{load.errors} errors, the first: {load.first_error}"
    return "" if load.calls else "no call was answered"


def _strays(row: Row, before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Tells of calls that reached the upstream in another dialect than the row is about."""
    strays = sum(after[dialect] - before[dialect] for dialect in after if dialect != row.dialect)
    return f"{strays} calls reached the upstream in another dialect" if strays else ""


def _tell(progress: str) -> None:
    if sys.stderr.isatty():
        print(progress, file=sys.stderr, flush=True)
