"""The simulator as a program: its READY line, its settings, and a clean end."""

import json
import signal
import subprocess
import sys
import urllib.request
from http.client import HTTPConnection
from pathlib import Path


def test_it_says_where_it_listens_and_ends_on_sigterm(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    command = [sys.executable, "-m", "controller.demo.simulator", "--name", "beta", "--model", "gpt-5"]
    with subprocess.Popen(
        [*command, "--journal", str(journal)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready, name, url = process.stdout.readline().split()
        assert (ready, name) == ("READY", "beta")
        with urllib.request.urlopen(f"{url}/v1/models", timeout=5) as answer:
            assert b"gpt-5" in answer.read()
        body = b'{"model": "gpt-5", "messages": []}'
        with urllib.request.urlopen(f"{url}/v1/chat/completions", data=body, timeout=5) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    assert len(journal.read_text().splitlines()) == 2


def test_it_ends_while_calls_hang() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "controller.demo.simulator"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().split()[2].removeprefix("http://")
        control, caller = HTTPConnection(address, timeout=5), HTTPConnection(address, timeout=5)
        control.request("POST", "/_sim/faults", b'{"fault": {"hang": true}}')
        assert control.getresponse().read()
        caller.request("POST", "/v1/chat/completions", b'{"model": "m", "messages": []}')
        entries: list[object] = []
        while not entries:
            control.request("GET", "/_sim/journal")
            entries = json.loads(control.getresponse().read())["entries"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""
        control.close()
        caller.close()
