"""The one command that checks everything: `python -m tests`, or `python -m tests lint` for all but the tests."""

import subprocess
import sys
from pathlib import Path

PYTHON = sys.executable
LINT: tuple[tuple[str, ...], ...] = (
    (PYTHON, "-m", "ruff", "format", "--check", "--quiet", "."),
    (PYTHON, "-m", "ruff", "check", "--quiet", "."),
    (PYTHON, "-m", "mypy"),
    (str(Path(PYTHON).with_name("lint-imports")), "--no-logo"),
    (PYTHON, "-m", "schemas", "json", "--check"),
)

# Three processes for two cores: a fifth of the time a test waits. Tests of one file share a process and its servers.
# In the order of the files: by number of tests, the longest ones, which are one test each, would come last.
TESTS = (PYTHON, "-m", "pytest", "--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")


def main(argv: list[str]) -> int:
    steps = LINT if argv == ["lint"] else (*LINT, TESTS + tuple(argv))
    for step in steps:
        print(f"== {' '.join(step[1:] if step[0] == PYTHON else step)}", file=sys.stderr, flush=True)
        code = subprocess.run(step, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
