"""`python -m tests.fuzz [--seconds N] [TARGET …]`: atheris gives each target changed transcripts for so long.

Exit status: 0 nothing broke; 1 something did, and the bytes lie in `tests/fuzz/found/`, where the test suite holds
them.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.corpus import FOUND, seeds_of
from tests.fuzz.targets import TARGETS_BY_NAME

MOST_BYTES = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS_BY_NAME)} [default: all]")
    parser.add_argument("--seconds", type=int, default=30, help="for each target [default: 30]")
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - set(TARGETS_BY_NAME):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS_BY_NAME)}")
    broken = [name for name in options.targets or TARGETS_BY_NAME if not _fuzz(name, options.seconds)]
    print(f"broken: {', '.join(broken)}; see {FOUND}" if broken else "nothing broke")
    return 1 if broken else 0


def _fuzz(name: str, seconds: int) -> bool:
    """In a process of its own: atheris never returns."""
    print(f"== {name}", flush=True)
    kept = FOUND / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds_of(name)):
            shutil.copy(seed, Path(folder, f"{number:04}"))
        command = [sys.executable, "-m", "tests.fuzz.one", name, folder, f"-max_total_time={seconds}"]
        command += [f"-max_len={MOST_BYTES}", f"-artifact_prefix={kept}/", "-timeout=10", "-print_final_stats=1"]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    lines = done.stderr.splitlines()
    print("\n".join([line for line in lines if "number_of_executed" in line] if done.returncode == 0 else lines[-40:]))
    if not any(kept.iterdir()):
        kept.rmdir()
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
