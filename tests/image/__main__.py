"""`python -m tests.image`: the Dockerfile's steps, one by one, in clean roots that debootstrap makes; then both
programs as their images would run them: as nobody in particular, on a read-only root, asked by their health checks.

For machines without a builder of images. Takes root, and a few minutes.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemas.bundle import encode_bundle
from tests.fakes.core_bundles import bundle
from tests.image.dockerfile import Stage, exec_form, parse, variables

REPOSITORY = Path(__file__).parents[2]
DEBIAN = "debian:bookworm-slim"
MACHINE = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs", "/usr/local/share/ca-certificates")
"""What a package client needs of the machine where it runs; a builder gives its own."""
CLIENTS = re.compile(r"_proxy$|PIP_|CERT", re.IGNORECASE)
"""Variables that they read."""
STATE = "var/lib/pointsman"
READY_SECONDS = 20


class Failed(Exception):
    """The step, and the end of what it said."""


class Roots:
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
            root = self._folder / name
            subprocess.run(["cp", "--archive", "--reflink=auto", base, root], check=True)
            self._made[name], self._environments[name] = root, dict(environment)
            for instruction, words in stage.steps:
                print(f"{name}: {instruction} {words}"[:120], flush=True)
                self._step(root, self._environments[name], instruction, words)
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


def run_image(stage: Stage, root: Path, environment: Mapping[str, str], arguments: Sequence[str], log: Path) -> None:
    """As its image would: its entry point, its user, a read-only root; until its health check is content.

    Raises:
        Failed: it never is.
    """
    user = stage.last("USER")
    command = shlex.join(["chroot", f"--userspec={user}", str(root), *exec_form(stage.last("ENTRYPOINT")), *arguments])
    mounts = " && ".join([
        f"mount --bind {root} {root}", f"mount --bind {root}/{STATE} {root}/{STATE}",
        f"mount -o remount,bind,ro {root}",
        f"mount -t tmpfs tmpfs {root}/tmp", f"mount -t proc proc {root}/proc",
    ])  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{mounts} && exec {command}"],
            env=dict(environment), stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        check, deadline = exec_form(stage.last("HEALTHCHECK")), time.monotonic() + READY_SECONDS
        while in_root(root, check, environment, user).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{stage.name} is not healthy:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
    finally:
        process.terminate()
        process.wait(30)
    print(f"{stage.name}: healthy; ended with status {process.returncode}")


def size_of(root: Path) -> int:
    """In MB."""
    said = subprocess.run(["du", "--summarize", "--block-size=1M", root], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[0])


def main() -> int:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("this takes root and debootstrap", file=sys.stderr)
        return 2
    stages = parse(REPOSITORY / "Dockerfile")
    with tempfile.TemporaryDirectory(prefix="pointsman-image-") as folder:
        roots = Roots(Path(folder), stages)
        try:
            for name in ("sidecar", "controller"):
                root, environment = roots.make(name)
                state = root / STATE
                if name == "sidecar":
                    (state / "rules.json").write_bytes(encode_bundle(bundle()))
                    arguments = ["--rules", f"/{STATE}/rules.json"]
                else:
                    shutil.copytree(REPOSITORY / "examples" / "rules", state / "rules")
                    arguments = ["serve", "--repo", f"/{STATE}/rules"]
                subprocess.run(["chown", "--recursive", "65532:65532", state], check=True)
                print(f"{name}: {size_of(root)} MB, of them {size_of(root / 'opt')} MB ours and its packages")
                run_image(stages[name], root, environment, arguments, Path(folder, f"{name}.log"))
        except (Failed, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
