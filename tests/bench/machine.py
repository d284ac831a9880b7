"""The machine and the versions that a run was measured with: numbers without them say nothing."""

import os
import platform
import re
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path


def describe() -> dict[str, str]:
    """What stands above the table."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "versions": ", ".join(
            [
                f"Python {platform.python_version()}",
                f"aiohttp {version('aiohttp')}",
                f"uvloop {version('uvloop')}",
                _nginx(),
            ]
        ),
    }


def _cpu() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1].strip() if found else platform.machine()


def _nginx() -> str:
    if not shutil.which("nginx"):
        return "no nginx"
    told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return f"nginx {told.strip().rpartition('/')[2]}"
