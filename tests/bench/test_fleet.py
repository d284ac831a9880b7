"""A few hundred simulated sidecars: each commit reaches them all, and all come back to a controller that was killed."""

import subprocess
import sys

from tests.fakes.processes import REPOSITORY


def test_every_sidecar_gets_every_commit_and_comes_back() -> None:
    command = [sys.executable, "-m", "tests.bench.fleet", "200"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "commit 5: " in done.stdout
    assert "reports: {'ok': 1200}, failures: none" in done.stdout
    assert "and a commit then: " in done.stdout
