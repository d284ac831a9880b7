"""The commands on a rules folder, called as the command line calls them, and rules folders to call them on."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main

ROOT = Path(__file__).parents[4]


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Pointsman = Callable[..., Answer]


@pytest.fixture
def pointsman(capsys: pytest.CaptureFixture[str]) -> Pointsman:
    def call(*argv: str | Path) -> Answer:
        try:
            status = main([str(word) for word in argv])
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        written = capsys.readouterr()
        return Answer(status, written.out, written.err)

    return call


@pytest.fixture
def examples() -> Path:
    return ROOT / "examples" / "rules"


@pytest.fixture
def rules(tmp_path: Path, examples: Path) -> Path:
    """A copy of the example rules, to break."""
    return Path(shutil.copytree(examples, tmp_path / "rules"))
