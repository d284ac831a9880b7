"""Clean root folders, one a stage of the Dockerfile: its steps run one by one over Debian, as debootstrap makes it.

For machines without a builder of images. Takes root, and a few minutes.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fakes.processes import REPOSITORY
from tests.image.dockerfile import Stage, variables

DEBIAN = "debian:bookworm-slim"
MACHINE = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs", "/usr/local/share/ca-certificates")
"""What a package client needs of the machine where it runs; a builder gives its own."""
CLIENTS = re.compile(r"_proxy$|PIP_|CERT", re.IGNORECASE)
"""Variables that they read."""


class Failed(Exception):
    """The step, and the end of what it said."""


class Roots:
    """A stage that the folder holds whole is not made again."""

    def __init__(self, folder: Path, stages: Mapping[str, Stage]) -> None:
        self._folder = folder
        self._stages = stages
        self._made: dict[str, Path] = {}
        self._environments: dict[str, dict[str, str]] = {}

    def make(self, name: str) -> tuple[Path, dict[str, str]]:
        """A stage's root and its variables."""
        if name not in self._made:
            stage = self._stages[name]
            base, environment = self._debian() if stage.base == DEBIAN else self.make(stage.base)
            root, whole = self._folder / name, self._folder / f"{name}.whole"
            is_whole = whole.exists()
            if not is_whole:
                shutil.rmtree(root, ignore_errors=True)
                subprocess.run(["cp", "--archive", "--reflink=auto", base, root], check=True)
            self._made[name], self._environments[name] = root, dict(environment)
            for instruction, words in stage.steps:
                if is_whole and instruction != "ENV":
                    continue
                print(f"{name}: {instruction} {words}"[:120], flush=True)
                self._step(root, self._environments[name], instruction, words)
            whole.touch()
        return self._made[name], self._environments[name]

    def _debian(self) -> tuple[Path, dict[str, str]]:
        root = self._folder / "debian"
        if not root.exists():
            subprocess.run(
                ["debootstrap", "--variant=minbase", "bookworm", root], check=True, stdout=subprocess.DEVNULL
            )
            for path in map(Path, MACHINE):
                if path.is_dir():
                    shutil.copytree(path, root / path.relative_to("/"), dirs_exist_ok=True)
                elif path.exists():
                    (root / path.relative_to("/")).write_bytes(path.read_bytes())
        return root, {}

    def _step(self, root: Path, environment: dict[str, str], instruction: str, words: str) -> None:
        match instruction:
            case "RUN":
                done = in_root(root, ["/bin/sh", "-c", words], environment)
                if done.returncode:
                    raise Failed(f"RUN {words}\n{done.stdout[-3000:]}")
            case "COPY":
                self._copy(root, shlex.split(words))
            case "ENV":
                environment |= variables(words)
            case "WORKDIR" | "USER" | "EXPOSE" | "LABEL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                pass
            case _:
                raise Failed(f"{instruction}: not known here")

    def _copy(self, root: Path, words: list[str]) -> None:
        source = REPOSITORY
        if words[0].startswith("--from="):
            source = self.make(words.pop(0).removeprefix("--from="))[0]
        *names, target = words
        for name in names:
            origin, place = source / name.lstrip("/"), root / target.lstrip("/")
            if origin.is_dir():
                shutil.copytree(origin, place, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place = place / origin.name if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin, place)


def in_root(
    root: Path, command: Sequence[str], environment: Mapping[str, str], user: str = "0"
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if CLIENTS.search(name)}
    kept |= {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        ["chroot", f"--userspec={user}", root, *command], env=kept | dict(environment),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
