"""`pointsman demo`, as a person starts it: the story's facts, its two ends, and nothing left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.demo.local_models import available
from tests.fakes.free_ports import free_ports

DEMO = [sys.executable, "-m", "controller", "demo"]
STORY_SECONDS = 40.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def ports() -> dict[str, int]:
    """Free ones, for each flag."""
    flags = ("--port", "--admin-port", "--controller-port", "--providers-port")
    return dict(zip(flags, free_ports(len(flags)), strict=True))


@contextmanager
def _listening(count: int) -> Iterator[list[int]]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def flags_of(numbers: dict[str, int]) -> list[str]:
    return [word for flag, port in numbers.items() for word in (flag, str(port))]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No keys; folders of its own, by which its processes are known."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return kept | {"TMPDIR": str(tmp_path)}


def processes_in(folder: Path) -> list[int]:
    """Those that run with this folder as their TMPDIR: whatever a demo started, and whatever that started."""
    mark = f"TMPDIR={folder}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes() + b"\0":
                found.append(int(entry.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # it ended, or is another user's
    return found


def wait_until_gone(folder: Path) -> list[int]:
    """A killed process takes a moment to go."""
    deadline = time.monotonic() + 5
    while (left := processes_in(folder)) and time.monotonic() < deadline:
        signal.sigtimedwait([], 0.05)
    return left


def told(environment: dict[str, str], *more: str) -> str:
    done = subprocess.run(
        [*DEMO, "--once", *flags_of(ports()), *more],
        env=environment, capture_output=True, text=True, timeout=STORY_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@contextmanager
def started(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*DEMO, *arguments], env=environment, stdout=subprocess.PIPE, text=True) as demo:
        try:
            yield demo
        finally:
            demo.kill()


def test_the_story_is_told_with_its_facts_and_leaves_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    assert available("smollm2") is None, "the real model is a part of this test"
    story = told(environment)
    calls = re.findall(r"x-pointsman-model: (\S+)\n +x-pointsman-provider: (\S+)", story)
    first, second = ("simulated-gpt", "simulated-openai"), ("simulated-claude", "simulated-anthropic")
    real = ("smollm2", "llama-cpp")
    assert calls == [first, first, first, real, second, real, second, second, first]
    assert "no problems in 11 rule files and 4 rule tests" in story
    assert re.search(r"cost_usd 0\.\d*[1-9]\d* for this answer", story)
    assert "x-pointsman-attempts: 3" in story

    followed = re.findall(r"sidecar runs commit [0-9a-f]{12}, (\d+\.\d\d) s after", story)
    assert len(followed) == 2
    assert all(float(seconds) < 1 for seconds in followed)

    named = re.findall(r"use-cases/customer-support/use-case\.yaml:6:10 .*simulated-claued.*did you mean", story)
    assert len(named) == 2  # by check, and by the controller

    booked = dict(re.findall(r"^ +customer-support +(simulated-\S+) .* (\d+\.\d{4}) +\d+\.\d{4}$", story, re.MULTILINE))
    assert set(booked) == {"simulated-gpt", "simulated-claude"}
    assert all(float(cost) > 0 for cost in booked.values())
    assert re.search(r"^ +total +9 ", story, re.MULTILINE)
    assert "1 of 1 on the current revision" in story
    assert "\nReady: http://127.0.0.1:" in story
    assert "\x1b" not in story
    assert wait_until_gone(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_after_the_story_it_stays_and_answers_until_it_is_ended(environment: dict[str, str], tmp_path: Path) -> None:
    numbers, rules = ports(), tmp_path / "rules"
    url = f"http://127.0.0.1:{numbers['--port']}"
    with started(environment, *flags_of(numbers), "--folder", str(rules)) as demo:
        assert demo.stdout is not None
        assert any(line == f"Ready: {url}\n" for line in demo.stdout)
        body = b'{"model": "customer-support", "messages": [{"role": "user", "content": "Hello!"}]}'
        with urllib.request.urlopen(f"{url}/v1/chat/completions", data=body, timeout=10) as response:
            assert response.headers["x-pointsman-model"] == "simulated-gpt"
        demo.terminate()
        demo.communicate(timeout=20)
        assert demo.returncode == 0
    assert wait_until_gone(tmp_path) == []
    assert (rules / "pointsman.yaml").is_file()


@pytest.mark.parametrize(("end", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_whatever_ends_it_in_the_middle_ends_all(
    environment: dict[str, str], tmp_path: Path, end: signal.Signals, status: int
) -> None:
    with started(environment, *flags_of(ports())) as demo:
        assert demo.stdout is not None
        assert any("Up: agents call" in line for line in demo.stdout)
        assert len(processes_in(tmp_path)) >= 6  # the demo, two vendors, the model's two, controller and sidecar
        demo.send_signal(end)
        demo.communicate(timeout=20)
        assert demo.returncode == status
    assert wait_until_gone(tmp_path) == []


@pytest.mark.parametrize("flag", ["--port", "--admin-port", "--controller-port"])
def test_a_port_in_use_is_named_with_its_flag(environment: dict[str, str], tmp_path: Path, flag: str) -> None:
    with _listening(1) as (taken,):
        numbers = ports() | {flag: taken}
        done = subprocess.run(
            [*DEMO, *flags_of(numbers)], env=environment, capture_output=True, text=True, timeout=20, check=False
        )
    assert done.returncode == 2
    expected = f"pointsman demo: port {taken} of 127.0.0.1 is in use; choose another with {flag}\n"
    assert (done.stdout, done.stderr) == ("", expected)


def test_a_folder_that_holds_something_is_left_alone(environment: dict[str, str], tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    done = subprocess.run(
        [*DEMO, *flags_of(ports()), "--folder", str(mine)],
        env=environment, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is not empty; name another folder with --folder" in done.stderr
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]
