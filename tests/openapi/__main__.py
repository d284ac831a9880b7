"""`python -m tests.openapi SCHEMATHESIS`: a real controller, asked whatever its own document allows, and more.

`make schemathesis` installs the tool in an environment of its own. Exit status: 0 the controller keeps to its word.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fakes.controller import ControllerProcess
from tests.fakes.rules_repo import RulesRepo

SEED: Final = "20261127"
EXAMPLES: Final = "40"
"""Of each operation and phase."""
TOKENS: Final = {"admin.token": "a" * 43, "sidecar.token": "s" * 43}
FOR_SIDECARS: Final = "^/v1/(bundle|status|usage|spend)"
STREAM: Final = "/v1/watch"
"""Never ends by itself."""
CURSOR: Final = "/v1/calls"
"""Refuses what is no `next` of its own, which no schema can say."""
PASSES: Final = (
    ("admin.token", "--exclude-path", CURSOR),
    ("admin.token", "--include-path", CURSOR, "--exclude-checks", "positive_data_acceptance"),
    ("sidecar.token", "--include-path-regex", FOR_SIDECARS, "--exclude-checks", "positive_data_acceptance"),
)
"""What a record may hold is judged by more than its types, as a cursor is."""


def main(tool: str) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repo = RulesRepo(folder / "rules")
        repo.commit()
        tokens = folder / "tokens"
        tokens.mkdir()
        for file, text in TOKENS.items():
            (tokens / file).write_text(text)
        controller = ControllerProcess(repo.path, folder / "controller", ["--tokens", str(tokens)])
        try:
            controller.child.wait_for("revision.accepted")
            return max(_asked(tool, controller, *words) for words in PASSES)
        finally:
            controller.stop()


def _asked(tool: str, controller: ControllerProcess, token: str, *more: str) -> int:
    command = [
        tool, "run", f"{controller.url}/openapi.json", "--checks", "all",
        "--max-examples", EXAMPLES, "--seed", SEED, "--exclude-path", STREAM, "--request-timeout", "20",
        "--header", f"Authorization: Bearer {TOKENS[token]}", "--continue-on-failure", "--warnings", "off", *more,
    ]  # fmt: skip
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
