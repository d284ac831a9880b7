"""The pages' bench asks each page on both databases and reports it; how long one takes is not judged."""

import subprocess
import sys

from tests.bench.pages import PATHS
from tests.fakes.processes import REPOSITORY


def test_every_page_answers_on_both_databases() -> None:
    command = [sys.executable, "-m", "tests.bench.pages", "--calls", "600", "--sidecars", "20"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answered = [line.split() for line in done.stdout.splitlines() if line.startswith("/")]
    assert [(row[0], row[1]) for row in answered] == [(path, "200") for path in PATHS] * 2
