"""Which files of a repository are read."""

import os
import subprocess
from pathlib import Path

from controller.audit.source import MAX_BYTES, list_files, read_source


def test_what_is_no_file_of_ours_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("import openai\n")
    (tmp_path / "large.py").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "link.py").symlink_to(tmp_path / "good.py")
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    names = ("good.py", "large.py", "link.py", "folder.py", "pipe.py", "gone.py", "notes.txt")
    assert [name for name in names if read_source(tmp_path, name)] == ["good.py"]


def test_of_a_repository_what_git_knows_and_what_is_new_and_runs_nothing_that_it_names(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "core.fsmonitor=false"]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("known.py", "new.py", "ignored.py", "node_modules/x.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    subprocess.run([*git, "add", "known.py"], check=True)
    subprocess.run([*git, "config", "core.fsmonitor", str(trap)], check=True)
    assert list_files(tmp_path).paths == (".gitignore", "known.py", "new.py", "trap.sh")
    assert not (tmp_path / "sprung").exists()
