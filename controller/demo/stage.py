"""The running parts of the demo: which program is started how, waited for, killed and started again."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.demo.cast import Cast, Vendor
from controller.demo.narration import Style, Terminal, shell_line
from controller.demo.repository import BRANCH
from controller.demo.settings import DemoSettings
from controller.processes import Child, Children, environment_of_children

START_SECONDS = 30.0
MODEL_START_SECONDS = 120.0  # a cold disk and one busy core; a warm start takes a second or two
COMMAND_SECONDS = 60.0
SMALL_MODEL = "smollm2"
CONTROLLER_STATE, SIDECAR_STATE = "state/controller", "state/sidecar"


@dataclass(frozen=True, slots=True)
class _Starting:
    child: Child
    ready_url: str
    seconds: float


@dataclass(slots=True)
class Stage:
    """Each `start_…` shows the command that a person could type, and runs it; `wait` waits until all of them answer."""

    settings: DemoSettings
    cast: Cast
    terminal: Terminal
    children: Children
    playing: dict[str, Child] = field(default_factory=dict)
    _starting: list[_Starting] = field(default_factory=list)

    def start_vendor(self, vendor: Vendor) -> None:
        self._start(
            vendor.title,
            ["controller.demo.simulator", "--name", vendor.provider, "--model", vendor.model,
             "--port", str(vendor.port), "--chunk-delay", "0.03"],
            f"http://127.0.0.1:{vendor.port}/v1/models",
        )  # fmt: skip

    def start_small_model(self) -> None:
        port = self.cast.small_model_port
        arguments = ["controller.demo.local_models", f"{SMALL_MODEL}={port}", "--until-stdin-closes"]
        self._start("small model", arguments, f"http://127.0.0.1:{port}/health", MODEL_START_SECONDS)

    def start_controller(self, rules: Path) -> None:
        if rules.is_relative_to(self.children.folder):
            rules = rules.relative_to(self.children.folder)
        arguments = [
            "serve", "--repo", str(rules), "--ref", BRANCH, "--state", CONTROLLER_STATE,
            "--listen", f"127.0.0.1:{self.settings.controller_port}",
        ]  # fmt: skip
        shown = shell_line(["pointsman", *arguments])
        self._start("controller", ["controller", *arguments], f"{self.settings.controller_url}/readyz", shown=shown)

    def start_sidecar(self) -> None:
        arguments = [
            "--rules", self.settings.controller_url,
            "--controller-token", f"{CONTROLLER_STATE}/sidecar.token",
            "--state", SIDECAR_STATE,
            "--listen", f"127.0.0.1:{self.settings.agents_port}",
            "--admin", f"127.0.0.1:{self.settings.admin_port}",
            "--agent", "demo", "--drain", "2",
        ]  # fmt: skip
        shown = shell_line(["pointsman-sidecar", *arguments])
        self._start("sidecar", ["sidecar", *arguments], f"{self.settings.admin_url}/readyz", shown=shown)

    def kill(self, vendor: Vendor) -> None:
        child = self.playing[vendor.title]
        self.terminal.command(f"kill -9 {child.pid}   # {vendor.title}")
        child.kill()

    def run(self, arguments: Sequence[str], *, folder: Path | None = None, keys: int = 0) -> int:
        """Runs `pointsman <arguments>` to its end, shows what it said, and gives its exit status.

        `keys`: how many columns name a row, of a command that prints a table.
        """
        self.terminal.command(shell_line(["pointsman", *arguments]))
        done = subprocess.run(
            [sys.executable, "-m", "controller", *arguments],
            cwd=folder,
            env=environment_of_children(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if keys:
            self.terminal.table(done.stdout, keys)
        else:
            self.terminal.output(done.stdout, Style.BAD if done.returncode else None)
        return done.returncode

    def wait(self) -> None:
        """Until everything that was started answers.

        Raises:
            ProcessFailed: something ended, or did not answer in time.
        """
        while self._starting:
            starting = self._starting.pop(0)
            with self.terminal.progress(f"starting {starting.child.name}") as tick:
                self.children.wait_until_ready(starting.child, starting.ready_url, starting.seconds, tick)

    def _start(
        self, name: str, arguments: Sequence[str], ready_url: str, seconds: float = START_SECONDS, shown: str = ""
    ) -> None:
        self.terminal.command(shown or shell_line(["python", "-m", *arguments]))
        child = self.children.start(name, arguments)
        self.playing[name] = child
        self._starting.append(_Starting(child, ready_url, seconds))
