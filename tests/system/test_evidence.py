"""A new model on its way: results, a proposed branch, a check that asks for evidence, a merge that is rolled out."""

import json
import subprocess
import sys
from pathlib import Path

from tests.fakes.controller import StartController
from tests.fakes.processes import REPOSITORY, eventually
from tests.fakes.rules_repo import MODEL, RULES, USE_CASE, RulesRepo

FILE = "use-cases/support/use-case.yaml"
STRICT = USE_CASE.replace(
    "class: experimental", 'class: regulated   # audited\nlock: {vendor: anthropic, reason: "tools"}'
)


def pointsman(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controller", *map(str, words)], capture_output=True, text=True, cwd=REPOSITORY,
        check=False, timeout=60,
    )  # fmt: skip


def results(path: Path, model: str, right: int, usd: str) -> Path:
    rows = [{"sample_id": i, "model": model, "success": int(i < right), "cost_usd": usd} for i in range(300)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_new_model_takes_over_by_its_evidence_alone(tmp_path: Path, start_controller: StartController) -> None:
    repo = RulesRepo(tmp_path / "rules")
    repo.git("config", "user.name", "Author")
    repo.git("config", "user.email", "author@example.com")
    opus = MODEL.replace("model: sonnet", "model: opus")
    first = repo.commit({**RULES, "models/opus.yaml": opus, FILE: STRICT})
    controller = start_controller(repo.path)
    controller.child.wait_for(f"revision.accepted revision={first}")

    bare = repo.commit({FILE: STRICT.replace("primary: sonnet", "primary: opus")})
    eventually(lambda: f"revision.refused revision={bare}" in controller.child.stderr())
    refused = pointsman("check", repo.path, "--base", first)
    assert (refused.returncode, "error[evidence-missing]" in refused.stdout) == (1, True), refused
    repo.git("reset", "--quiet", "--hard", first)

    made = pointsman(
        "eval", "propose", repo.path, "--use-case", "support", "--as", "primary", "--format", "json",
        "--incumbent", results(tmp_path / "sonnet.jsonl", "sonnet", 240, "0.01"),
        "--candidate", results(tmp_path / "opus.jsonl", "opus", 243, "0.004"),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    branch = json.loads(made.stdout)["branch"]
    repo.git("checkout", "--quiet", branch)
    assert "class: regulated   # audited" in (repo.path / FILE).read_text()
    checked = pointsman("check", repo.path, "--base", "main")
    assert checked.returncode == 0, checked.stdout
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "--no-edit", branch)
    controller.child.wait_for(f"revision.accepted revision={repo.git('rev-parse', 'HEAD')}")
