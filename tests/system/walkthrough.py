"""A page that teaches by commands, run as a reader would: each block in its order, in one folder, by a shell.

`sh` blocks are typed; one that begins `# in a … terminal` goes on running; `sh fails` ends with an error. Every line of
the `text` block below one stands in what it printed; a block of one command is typed again until it does, as things
take a moment. A `python`, `yaml` or `json` block is saved under the name that the text above it gives last. What a
`console` block shows needs keys, a fleet or an outage, and is not run.
"""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.fakes.free_ports import free_ports
from tests.fakes.processes import REPOSITORY, Child, eventually

PROGRAMS = {"python": "", "pointsman": "-m controller", "pointsman-sidecar": "-m sidecar"}
LISTENS = {"pointsman serve": {"LISTEN": "4200"}, "pointsman-sidecar": {"LISTEN": "4100", "ADMIN": "4101"}}
"""Programs that listen by default, and where: here free ports stand in."""
PORTS = ("4100", "4101", "4200", "4300")
READY = r"READY|listening|listens on"
COMMAND_SECONDS = 60.0
SOON_SECONDS = 20.0


class Block(NamedTuple):
    kind: str
    text: str
    above: str
    """The sentence before it."""


def blocks_of(page: str) -> Iterator[Block]:
    end = 0
    for found in re.finditer(r"^```(.*?)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        yield Block(found[1], found[2].strip("\n"), page[end : found.start()])
        end = found.end()


class Walk:
    """One reader, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / "home"
        self._home.mkdir()
        self._log = folder / "terminals.log"
        self._ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self._children: list[Child] = []
        programs = folder / "bin"
        programs.mkdir()
        for name, arguments in PROGRAMS.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        names = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
        identity = dict.fromkeys(names, "reader@example.org")
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("POINTSMAN_", "OPENAI_"))}
        self._environment = {
            **ours, **identity, "HOME": str(self._home), "XDG_STATE_HOME": str(folder / "state"),
            "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY),
        }  # fmt: skip

    def along(self, page: str) -> int:
        """Do all that the page says. How many blocks were typed."""
        blocks = [*blocks_of(page), Block("", "", "")]
        typed = 0
        for block, after in pairwise(blocks):
            expected = after.text.splitlines() if after.kind == "text" else []
            if block.kind in ("python", "yaml", "json"):
                (name,) = re.findall(r"`([\w./-]+\.(?:py|yaml|json))`", block.above)[-1:]
                (self._home / name).write_text(self._here(block.text) + "\n")
            elif block.kind.startswith("sh"):
                self._type(block.text, expected, fails=block.kind == "sh fails")
                typed += 1
            else:
                assert block.kind in ("text", "console", ""), f"nobody runs a block of {block.kind}"
        return typed

    def close(self) -> None:
        for child in reversed(self._children):
            child.stop()

    def _type(self, commands: str, expected: list[str], *, fails: bool) -> None:
        if commands.startswith("# in a "):
            self._start(commands.splitlines()[1])
        elif expected and len(commands.splitlines()) == 1:
            eventually(lambda: self._says(commands, expected, fails=fails) is None, SOON_SECONDS)
        else:
            missing = self._says(commands, expected, fails=fails)
            assert missing is None, missing

    def _says(self, commands: str, expected: list[str], *, fails: bool) -> str | None:
        """What is missing in what the commands print, and all that they did; None: nothing is."""
        done = subprocess.run(
            ["bash", "-euc", self._here(commands)],
            cwd=self._home, env=self._environment, capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        assert (done.returncode != 0) is fails, f"{commands}\n{done.stdout}\n{done.stderr}"
        missing = [line for line in expected if line not in done.stdout]
        return f"{missing} not in what {commands} prints:\n{done.stdout}" if missing else None

    def _start(self, command: str) -> None:
        places: Mapping[str, str] = next((at for program, at in LISTENS.items() if program in command), {})
        child = Child.start(
            ["-c", f"exec env {self._here(command)}"],
            program="bash", log=self._log, cwd=self._home,
            environment={
                **self._environment,
                **{f"POINTSMAN_{name}": f"127.0.0.1:{self._ports[port]}" for name, port in places.items()},
            },
        )  # fmt: skip
        self._children.append(child)
        child.wait_for(READY)
        if "pointsman serve" in command:  # where commands look by themselves
            self._environment["POINTSMAN_CONTROLLER"] = f"http://127.0.0.1:{self._ports['4200']}"

    def _here(self, text: str) -> str:
        """With the free ports in place of those that are written."""
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: self._ports[found[0]], text)
