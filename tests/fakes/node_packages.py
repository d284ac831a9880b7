"""The npm packages of `tests/blackbox/node`, installed once by whoever asks first."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "blackbox" / "node"
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")


def installed() -> Path:
    """The folder that holds `node_modules`, as the lock file says; test processes wait for each other.

    A machine without Node.js skips what needs it; any other failure is one.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js 20 with npm is missing: Vercel's AI SDK, aimock and the YAML language server need it")
    wanted = (FOLDER / "package-lock.json").read_bytes()
    stamp = FOLDER / "node_modules" / ".installed"
    folder = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_bytes() != wanted:
            done = subprocess.run(INSTALL, cwd=FOLDER, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{' '.join(INSTALL)} in {FOLDER}:\n{done.stdout}{done.stderr}"
            stamp.write_bytes(wanted)
    finally:
        os.close(folder)
    return FOLDER
