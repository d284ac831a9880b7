"""`git daemon` over one bare repository: what a controller fetches from, killed, frozen and started again."""

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

from tests.fakes.free_ports import free_port
from tests.fakes.processes import Child, eventually
from tests.fakes.rules_repo import RulesRepo

BARE: Final = "rules.git"


class GitDaemon:
    """`repo` is where commits are made; `push` brings its `main` to the bare one that is served."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.repo = RulesRepo(folder / "work")
        self.bare = folder / "served" / BARE
        self.repo.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self._log = folder / "daemon.log"
        self._host, self._port = host, free_port()
        self.url = f"git://{host}:{self._port}/{BARE}"
        self.start()

    def start(self) -> None:
        """Returns when it takes connections."""
        where = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True).stdout.strip()
        self.child = Child.start(
            ["--export-all", "--reuseaddr", f"--listen={self._host}", f"--port={self._port}",
             f"--base-path={self.bare.parent}", str(self.bare.parent)],
            log=self._log, program=f"{where}/git-daemon",
        )  # fmt: skip
        eventually(self._is_listening)

    def push(self) -> str:
        """What `main` of the work tree is now, also where that rewrites history; gives the commit."""
        self.repo.git("push", "--quiet", "--force", str(self.bare), "main")
        return self.repo.git("rev-parse", "main")

    def kill(self) -> None:
        self.child.kill()

    def stop(self) -> None:
        self.child.stop()

    def freeze(self) -> None:
        """It accepts connections, as its socket does, and answers none of them."""
        os.kill(self.child.popen.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.child.popen.pid, signal.SIGCONT)

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self._host, self._port)) == 0
