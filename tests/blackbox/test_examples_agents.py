"""Every script in `examples/agents`, run as its README says, against a sidecar whose two use cases cross dialects."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import bundles
from tests.fakes.processes import REPOSITORY
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator

SCRIPTS = REPOSITORY / "examples" / "agents"
OUTPUT = {
    "openai_chat.py": r'to: "Hello there"\nanswered by claude-model for \$0\.\d+\n',
    "openai_feedback.py": r'to: "Hello there"\npm-[0-9a-f]{27} scored 1\.0\n',
    "openai_stream.py": r'to: "Hello there"\n\d+ tokens for \$\d[\d.e-]+\n',
    "openai_tools.py": r"\[parcel_status\] (parcel .* tomorrow)\n.*The tool says: \1\n",
    "anthropic_messages.py": r'to: "Hello there"\nanswered by gpt-model for \$0\.\d+\n',
    "anthropic_stream.py": r'to: "Hello there"\n\d+ tokens out, \$\d[\d.e-]+\n',
    "anthropic_tools.py": r"\[run_tests\] (3 tests passed .*)\n.*The tool says: \1\n",
}
ASKED = {"openai_tools.py": (), "anthropic_tools.py": ()}
"""Those whose own question names their tool; the others are asked one."""


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, start_simulator: StartSimulator) -> SidecarProcess:
    url = start_simulator("alpha").url
    rules = bundles.bundle(
        {"o": bundles.provider("openai", url), "a": bundles.provider("anthropic", url)},
        {
            "gpt-model": bundles.model("o", name="o-1"),
            "claude-model": bundles.model("a", name="a-1"),
        },
        {
            "customer-support": bundles.use_case("claude-model", "gpt-model"),
            "internal-coding": bundles.use_case("gpt-model", "claude-model"),
        },
    )
    return start_sidecar(rules)


@pytest.mark.parametrize("script", sorted(OUTPUT))
def test_a_script_runs_as_it_stands(sidecar: SidecarProcess, script: str, tmp_path: Path) -> None:
    unset = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    urls = {"OPENAI_BASE_URL": f"{sidecar.url}/v1", "ANTHROPIC_BASE_URL": sidecar.url}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPTS / script), *ASKED.get(script, ("Hello", "there"))],
        cwd=tmp_path,
        env=environment | urls,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert re.search(OUTPUT[script], done.stdout), done.stdout


def test_every_script_is_run_here_and_named_in_the_readme() -> None:
    scripts = {path.name for path in SCRIPTS.glob("*.py")}
    assert scripts == set(OUTPUT)
    readme = (SCRIPTS / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in scripts)
