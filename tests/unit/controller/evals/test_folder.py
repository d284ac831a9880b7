"""Eval files of a rules folder: all of them, those of one use case, and nothing else."""

from pathlib import Path

import pytest

from controller.evals.folder import read_eval_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("chat", "shop"):
        folder = tmp_path / "use-cases" / name / "eval"
        (folder / "schemas").mkdir(parents=True)
        (folder / "set.jsonl").write_bytes(b'{"id": "\xff"}')
        (folder / "schemas" / "out.json").write_text("{}")
        (folder / ".hidden").write_text("")
        (folder / "link.md").symlink_to("/etc/hostname")
    (tmp_path / "use-cases" / "chat" / "use-case.yaml").write_text("")
    return tmp_path


def test_regular_files_below_eval_are_read(root: Path) -> None:
    files = read_eval_files(root)
    names = {f"use-cases/{name}/eval/{file}" for name in ("chat", "shop") for file in ("set.jsonl", "schemas/out.json")}
    assert set(files) == names
    assert files["use-cases/chat/eval/set.jsonl"] == '{"id": "\udcff"}'


def test_one_use_case_alone(root: Path) -> None:
    assert {path.split("/")[1] for path in read_eval_files(root, "shop")} == {"shop"}
    assert read_eval_files(root, "nothing") == {}


def test_a_folder_without_use_cases(tmp_path: Path) -> None:
    assert read_eval_files(tmp_path) == {}
