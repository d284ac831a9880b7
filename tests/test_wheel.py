"""The wheel: the same bytes from the same commit, wherever it is built, and all that it needs to run inside."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fakes.processes import REPOSITORY

WHEN = "1767225600"


def built(folder: Path) -> Path:
    """From a checkout of its own."""
    source = folder / "source"
    source.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": WHEN, "PYTHONPATH": ""}
    subprocess.run([*command, "--wheel-dir", folder, source], env=environment, check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.skipif("POINTSMAN_WHEELS" not in os.environ, reason="make wheel builds it twice")
def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = built(tmp_path / "one"), built(tmp_path / "a-longer-name")
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
    names = zipfile.ZipFile(first).namelist()
    assert {"schemas/json/bundle.json", "controller/dashboard/static/dashboard.css", "sidecar/py.typed"} <= set(names)
    assert not [name for name in names if name.startswith("tests/")]
