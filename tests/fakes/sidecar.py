"""A sidecar as a process of its own, on free ports: started with rules, killed, restarted, and its spool read."""

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec

from schemas.bundle import Bundle, encode_bundle
from schemas.record import CallRecord
from schemas.status import SidecarStatus
from sidecar.spool.lines import Line, decode_lines
from tests.fakes import wire
from tests.fakes.processes import Child, eventually

LISTENS = r"listens on (http://\S+), admin on (http://\S+)"


class SidecarProcess:
    """`folder` holds its rules file, its state and its log, and outlives it: `restart` finds them again."""

    def __init__(
        self,
        rules: Bundle | Path | str,
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """`rules` is a bundle, or what `--rules` takes: a folder, a file, a controller's URL."""
        folder.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        self._bundle_file = folder / "bundle.json"
        self._log = folder / "sidecar.log"
        self._environment = environment
        self._options = tuple(options)
        if isinstance(rules, Bundle):
            self.write(rules)
            rules = self._bundle_file
        self._rules = str(rules)
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens. Its ports are new ones each time."""
        command = ["-m", "sidecar", "--rules", self._rules, "--state", str(self.state), "--drain", "1"]
        command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *self._options]
        self.child = Child.start(command, log=self._log, environment=self._environment)
        found = self.child.wait_for(LISTENS)
        self.url, self.admin_url = found[1], found[2]

    def wait_ready(self) -> "SidecarProcess":
        """Until it runs rules. A bundle file or folder is read right after it listens."""
        eventually(lambda: wire.get(f"{self.admin_url}/readyz").status == 200)
        return self

    def kill(self) -> None:
        self.child.kill()

    def stop(self) -> int:
        return self.child.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def write(self, rules: Bundle) -> None:
        """Replace the bundle file that it was started with, in one step, as a mounted volume does."""
        fresh = self._bundle_file.with_suffix(".new")
        fresh.write_bytes(encode_bundle(rules))
        os.replace(fresh, self._bundle_file)

    def status(self) -> SidecarStatus:
        return msgspec.json.decode(wire.get(f"{self.admin_url}/status").body, type=SidecarStatus)

    def metrics(self) -> str:
        return wire.get(f"{self.admin_url}/metrics").body.decode()

    def stderr(self) -> str:
        return self.child.stderr()

    def spool_lines(self) -> list[Line]:
        """Every whole line of its spool, in order: beginnings (`b`) and ends (`f`) of calls."""
        segments = sorted((self.state / "spool").glob("*.log"))
        return [line for path in segments for line in decode_lines(path.read_bytes()) if isinstance(line, Line)]

    def records(self) -> list[CallRecord]:
        """Calls that have ended, in the order in which they were booked."""
        return [line.record() for line in self.spool_lines() if line.kind == b"f"]

    def record(self, call_id: str) -> CallRecord:
        """The one record of a call; waits for a call whose end its caller did not see."""

        def booked() -> list[CallRecord] | None:
            return [record for record in self.records() if record.id == call_id] or None

        found = eventually(booked)
        assert len(found) == 1, f"{call_id} was booked {len(found)} times"
        return found[0]

    def spent(self) -> Decimal:
        """US dollars over all records, wasted attempts included; those of unknown price count nothing."""
        return sum((record.wasted_usd + (record.cost_usd or 0) for record in self.records()), Decimal(0))

    def explain(self, question: Mapping[str, Any]) -> wire.Reply:
        return wire.post(f"{self.url}/pointsman/explain", dict(question))


class StartSidecar(Protocol):
    def __call__(
        self,
        rules: Bundle | Path | str,
        *,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> SidecarProcess: ...
