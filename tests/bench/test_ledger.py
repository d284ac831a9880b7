"""The ledger's bench runs on both databases and reports each figure; how large one is, is not judged."""

import subprocess
import sys

from tests.fakes.processes import REPOSITORY


def test_it_reports_both_databases() -> None:
    command = [sys.executable, "-m", "tests.bench.ledger", "--records", "1200"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for database in ("sqlite", "postgresql"):
        assert f"{database}: usage by use_case, model: 72 rows" in done.stdout
        assert f"{database}: a page of 1,000 calls" in done.stdout
