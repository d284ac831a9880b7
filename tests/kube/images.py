"""The images of the Dockerfile as root folders, made once for what they hold, and by what name a pod asks for them."""

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fakes.processes import REPOSITORY
from tests.image.dockerfile import Stage, exec_form, parse
from tests.image.roots import Roots

FOLDER: Final = REPOSITORY / ".cache" / "kube" / "images"
STAGES: Final = {"pointsman/controller": "controller", "pointsman/sidecar": "sidecar", "python": "python"}
"""Repository → stage."""
MADE_FROM: Final = ("Dockerfile", ".ci/constraints.txt", "pyproject.toml", "schemas", "sidecar", "controller")


@dataclass(frozen=True, slots=True)
class Image:
    root: Path
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]


class Images:
    """Made on the first use: some minutes."""

    def __init__(self) -> None:
        self._stages = parse(REPOSITORY / "Dockerfile")
        folder = FOLDER / _digest()
        if not folder.exists():
            shutil.rmtree(FOLDER, ignore_errors=True)
            folder.mkdir(parents=True)
        roots = Roots(folder, self._stages)
        self._images = {repository: self._image(roots, stage) for repository, stage in STAGES.items()}

    def named(self, image: str) -> Image:
        """`pointsman/sidecar:0.1.0`."""
        return self._images[image.partition(":")[0]]

    def _image(self, roots: Roots, name: str) -> Image:
        root, environment = roots.make(name)
        stage = self._stages[name]
        return Image(root, environment, _words(stage, "ENTRYPOINT"), _words(stage, "CMD"))


def _words(stage: Stage, instruction: str) -> tuple[str, ...]:
    words = stage.last(instruction)
    return tuple(exec_form(words)) if words else ()


def _digest() -> str:
    """Of everything that the images are made from."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *MADE_FROM],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    digest = hashlib.sha256()
    for name in sorted(listed):
        if (REPOSITORY / name).is_file():
            digest.update(name.encode() + b"\0" + (REPOSITORY / name).read_bytes())
    return digest.hexdigest()[:16]
