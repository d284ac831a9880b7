"""Every command that the README names is run, in its order, as a stranger would type it."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.fakes.free_ports import free_ports
from tests.fakes.processes import REPOSITORY, Child, eventually

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = [block.strip().splitlines() for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)]
PROGRAMS = {"pointsman": "controller", "pointsman-sidecar": "sidecar"}
MINUTES = 60.0


def arguments(line: str) -> list[str]:
    """What `python` runs for a line of the README, whether or not the console scripts are installed here."""
    program, *rest = shlex.split(line)
    return ["-m", PROGRAMS[program], *rest]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The empty home of a stranger, who stands in it."""
    return tmp_path_factory.mktemp("stranger")


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("POINTSMAN_", "OPENAI_"))}
    identity = {
        f"GIT_{who}_{what}": "stranger@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    return {**ours, **identity, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "PYTHONPATH": str(REPOSITORY)}


def run(line: str, home: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments(line)], cwd=home, env=environment, capture_output=True, text=True, timeout=MINUTES
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_command_stands_in_a_block_that_is_run_here() -> None:
    demo, test, offline, running, exports = BLOCKS
    assert (demo, test) == (["make demo"], ["make test"])
    assert {line.split()[0] for line in offline + running} == set(PROGRAMS)
    assert all(line.startswith("export ") for line in exports)


@pytest.mark.parametrize(
    ("target", "expected"), [("demo", "pointsman demo"), ("test", "-m tests"), ("bench", "tests.bench")]
)
def test_make_targets_run_what_the_readme_says(target: str, expected: str) -> None:
    planned = subprocess.run(["make", "-n", target], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert expected in planned.stdout


def test_a_rules_repository_from_nothing(home: Path, environment: dict[str, str]) -> None:
    outputs = {line.split()[1]: run(line, home, environment) for line in BLOCKS[2]}
    assert "no problems" in outputs["check"]
    assert "0 failed" in outputs["test"]
    assert "claude-sonnet-4.6" in outputs["explain"]


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    """The README's ports, each with a free one that stands in for it here."""
    written = ("4100", "4101", "4200")
    return dict(zip(written, map(str, free_ports(len(written))), strict=True))


def test_the_programs_as_the_readme_starts_them(
    home: Path, environment: dict[str, str], ports: dict[str, str], tmp_path: Path
) -> None:
    serve, sidecar, *questions = (
        re.sub(r"\b(4100|4101|4200)\b", lambda found: ports[found[0]], line) for line in BLOCKS[3]
    )
    controller_url = f"http://127.0.0.1:{ports['4200']}"
    children = []
    try:
        children.append(
            Child.start(
                arguments(serve), log=tmp_path / "serve.log", cwd=home,
                environment={**environment, "POINTSMAN_LISTEN": f"127.0.0.1:{ports['4200']}"},
            )
        )  # fmt: skip
        children[0].wait_for("listening")
        children.append(
            Child.start(
                arguments(sidecar), log=tmp_path / "sidecar.log", cwd=home,
                environment={
                    **environment,
                    "POINTSMAN_LISTEN": f"127.0.0.1:{ports['4100']}",
                    "POINTSMAN_ADMIN": f"127.0.0.1:{ports['4101']}",
                },
            )
        )  # fmt: skip
        children[1].wait_for("listens on")
        status, answer = ask(f"http://127.0.0.1:{ports['4100']}/v1/chat/completions")
        # Without keys no vendor can be asked, and the answer says which variable to set.
        assert status == 502
        assert answer["error"]["code"] == "provider_auth"
        assert "_API_KEY is not set" in answer["error"]["message"]
        for line, expected in zip(questions, ("assistant", "SYNCED"), strict=True):
            # The ledger is at most five seconds behind.
            eventually(lambda: expected in run(f"{line} --controller {controller_url}", home, environment), MINUTES)  # noqa: B023
    finally:
        for child in reversed(children):
            child.stop()


def ask(url: str) -> tuple[int, dict[str, dict[str, str]]]:
    body = {"model": "assistant", "messages": [{"role": "user", "content": "Hello!"}]}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=MINUTES) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
