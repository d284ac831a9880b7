"""`pointsman serve` as a process of its own: killed, restarted on its port, its state kept or lost, its books read."""

import re
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Protocol

import psycopg
from psycopg.rows import dict_row

from tests.fakes import wire
from tests.fakes.processes import Child

ACCEPTED = r"^revision\.accepted revision=(\S+)"


class ControllerProcess:
    """`folder` holds its state and its log, and outlives it: `start` finds them again."""

    def __init__(self, repo: Path | str, folder: Path, options: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        self._repo = repo
        self._options = options
        named = dict(zip(options[::2], options[1::2], strict=False))
        self._database_url = named.get("--database-url")
        self._tokens = None if "--tokens" not in named else Path(named["--tokens"])
        self._log = folder / "controller.log"
        self._kept: Path | None = None
        self._port = 0
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens: on a free port the first time, and there again ever after."""
        command = ["-m", "controller", "serve", "--repo", str(self._repo), "--state", str(self.state)]
        command += ["--listen", f"127.0.0.1:{self._port}", *self._options]
        if self._kept is not None:
            command += ["--tokens", str(self._kept), "--signing-key", str(self._kept / "signing.key")]
        self.child = Child.start(command, log=self._log)
        self.url = self.child.wait_for(r"^controller\.listening url=(\S+)")[1]
        self._port = int(self.url.rpartition(":")[2])

    def lose_state(self) -> None:
        """Ledger, sequence and last bundle are gone when it starts again; tokens and key were mounted elsewhere."""
        kept = self.state.with_name("lost")
        self.state.rename(kept)
        self._kept = kept
        self.state.mkdir()
        for name in ("sidecar.token", "signing.pub"):  # where its sidecars look for them
            (self.state / name).symlink_to(kept / name)

    def lose_everything(self) -> None:
        """State, tokens and key: the next start makes new ones in the same places."""
        shutil.rmtree(self.state)

    @property
    def token_file(self) -> Path:
        return (self._kept or self._tokens or self.state) / "sidecar.token"

    @property
    def admin_token(self) -> str:
        return (self._kept or self._tokens or self.state).joinpath("admin.token").read_text()

    def keys(self) -> list[str]:
        """Options of a further controller on its database."""
        return ["--tokens", str(self.state), "--signing-key", str(self.state / "signing.key")]

    def act(self, name: str, **body: object) -> wire.Reply:
        headers = {"authorization": f"Bearer {self.admin_token}"}
        return wire.post(f"{self.url}/v1/{name}", {"reason": "a test"} | body, headers)

    def ready(self) -> wire.Reply:
        return wire.get(f"{self.url}/readyz")

    def status(self) -> dict[str, Any]:
        return dict(self.read("/v1/status"))

    def read(self, path: str) -> Any:
        """What it tells people."""
        return wire.get(f"{self.url}{path}", {"authorization": f"Bearer {self.admin_token}"}).json

    def signed_pointer(self) -> bytes:
        """The bytes that its sidecars get."""
        headers = {"authorization": f"Bearer {self.token_file.read_text()}"}
        return wire.get(f"{self.url}/v1/bundle?knows=steering", headers).body

    @property
    def public_key_file(self) -> Path:
        return (self._kept or self.state) / "signing.pub"

    def kill(self) -> None:
        self.child.kill()

    def stop(self) -> int:
        return self.child.stop()

    def accepted_at(self) -> dict[str, float]:
        """Revisions that it has accepted since its start, each with the Unix time at which it said so."""
        return {found[1]: at for at, line in self.child.heard() if (found := re.search(ACCEPTED, line))}

    def problems(self) -> dict[str, Any]:
        """Why it runs what it runs."""
        return dict(self.read("/v1/problems"))

    def fleet(self) -> list[dict[str, str]]:
        return list(self.read("/v1/fleet")["sidecars"])

    def usage(self, by: str) -> list[dict[str, Any]]:
        """The sums of all calls, by the keys named."""
        return list(self.read(f"/v1/usage?by={by}")["rows"])

    def ledger(self) -> dict[str, Any]:
        """How it finds its database."""
        return dict(self.status()["ledger"])

    def requests(self) -> int:
        """How many calls its sums hold."""
        return sum(row["requests"] for row in self.usage("outcome"))

    def calls(self) -> list[dict[str, Any]]:
        """Every booked call, as the ledger's table has it."""
        return self.rows("calls")

    def rows(self, table: Literal["calls", "shadows", "feedback"]) -> list[dict[str, Any]]:
        """A whole table of the ledger."""
        statement = f"SELECT * FROM {table}"
        if self._database_url is not None:
            with psycopg.connect(self._database_url, row_factory=dict_row) as postgres:
                return list(postgres.execute(statement))
        with closing(sqlite3.connect(f"{(self.state / 'ledger.db').as_uri()}?mode=ro", uri=True)) as ledger:
            ledger.row_factory = sqlite3.Row
            return [dict(row) for row in ledger.execute(statement)]


class StartController(Protocol):
    def __call__(self, repo: Path, *, options: Sequence[str] = ()) -> ControllerProcess: ...
