"""Prometheus's own checker, where the machine has it: `make alerts` brings it."""

import shutil
import subprocess

import pytest

from tests.fakes.processes import REPOSITORY

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not there; `make alerts` brings and runs it")


def promtool(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *words], input=text, capture_output=True, text=True, check=False, cwd=REPOSITORY)
