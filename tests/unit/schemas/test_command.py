"""`python -m schemas`: what a sidecar's child process and the build rely on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.__main__ import main, read_folder
from schemas.bundle import decode_bundle
from schemas.load import folder_revision

ROOT = Path(__file__).parents[3]


def test_a_child_process_prints_the_canonical_bundle_and_nothing_else() -> None:
    child = subprocess.run(
        [sys.executable, "-m", "schemas", "compile", "examples/rules", "--today", "2026-11-23"],
        cwd=ROOT, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (child.returncode, child.stderr) == (0, b"")
    bundle = decode_bundle(child.stdout)
    assert bundle.revision == folder_revision(read_folder(ROOT / "examples/rules"))
    assert len(bundle.use_cases) == 5


def test_problems_are_json_lines_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pointsman.yaml").write_text("schema: 2\nunknown: 1\n")
    assert main(["compile", str(tmp_path)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert [(p["file"], p["line"], p["code"]) for p in map(json.loads, err.splitlines())] == [
        ("pointsman.yaml", 1, "unknown-value"),
        ("pointsman.yaml", 2, "unknown-key"),
    ]


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(tmp_path / "nowhere")]) == 2
    assert "is not a folder" in capfd.readouterr().err


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    """Kubernetes mounts files as links through `..data` into a folder named for its time."""
    data = tmp_path / "..2026_11_23"
    data.mkdir()
    (data / "pointsman.yaml").write_text("schema: 1\n")
    (tmp_path / "..data").symlink_to("..2026_11_23")
    (tmp_path / "pointsman.yaml").symlink_to("..data/pointsman.yaml")
    assert read_folder(tmp_path) == {"pointsman.yaml": "schema: 1\n"}


def test_json_names_the_files_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("schemas.__main__.FOLDER", tmp_path)
    assert main(["json"]) == 0
    assert main(["json", "--check"]) == 0
    (tmp_path / "json" / "model.json").write_text("{}")
    assert main(["json", "--check"]) == 1
    assert "schemas/json/model.json differs" in capsys.readouterr().err
