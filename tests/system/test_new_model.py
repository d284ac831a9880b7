"""New models on their way through a whole system: asked, proposed, merged, tried on a share, promoted or taken back."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.fakes import wire
from tests.fakes.controller import StartController
from tests.fakes.load import Kind, Load
from tests.fakes.processes import REPOSITORY, eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

MODELS = ("old", "spare", "good", "fragile", "bad")
SERIOUS = use_case("old", "spare", more="quality_bar: {checks: [complete, not_refused]}\n").replace(
    "class: experimental", "class: customer-facing"
)
SET = "".join(
    json.dumps({"id": f"s{number:03}", "input": f"Is {number} below 90?", "target": "yes" if number < 90 else "no"})
    + "\n"
    for number in range(120)
)
GRADERS = "version: 1\ngraders: [{id: right, kind: exact}]\ndecision: {margin: 0.05, min_samples: 100}\n"
TERMS = "percent: 50, ladder: [50, 80, 100], margin: 0.1, planned_calls: 400"
DECIDED_SECONDS = 60.0


def pointsman(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controller", *map(str, words)], capture_output=True, text=True, cwd=REPOSITORY,
        check=False, timeout=60,
    )  # fmt: skip


def test_a_better_model_takes_over_and_one_that_fails_callers_is_taken_back(
    tmp_path: Path,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> None:
    makers = {name: start_simulator(name) for name in MODELS}
    for name, maker in makers.items():
        maker.fault({"text": "no" if name == "bad" else "yes"})
    rules = files([Door(name, "openai", maker.url) for name, maker in makers.items()], {"support": SERIOUS})
    for cheaper in ("good", "fragile"):
        file = f"models/{cheaper}.yaml"
        rules[file] = rules[file].replace("input: 3.00, output: 15.00", "input: 1.00, output: 5.00")
    evals = {"use-cases/support/eval/set.jsonl": SET, "use-cases/support/eval/graders.yaml": GRADERS}
    repo = RulesRepo(tmp_path / "rules")
    repo.git("config", "user.name", "Author")
    repo.git("config", "user.email", "author@example.com")
    repo.commit(rules | evals)
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    sidecar = start_sidecar(controller.url, options=["--controller-token", str(controller.token_file)])

    results = tmp_path / "results.jsonl"
    asked = (word for name in ("old", "good", "fragile", "bad") for word in ("--model", name))
    ran = pointsman(
        "eval", "run", repo.path, "--use-case", "support", "--sidecar", sidecar.url, *asked, "--out", results
    )
    assert ran.returncode == 0, ran.stderr

    def proposed(candidate: str, *words: str) -> tuple[int, str]:
        made = pointsman(
            "eval", "propose", repo.path, "--use-case", "support", "--results", results,
            "--incumbent-model", "old", "--candidate-model", candidate, *words, "--format", "json",
        )  # fmt: skip
        return made.returncode, made.stdout + made.stderr

    def merge(branch: str) -> None:
        repo.git("checkout", "--quiet", "main")
        repo.git("merge", "--quiet", "--no-ff", "--no-edit", branch)
        repo.git("branch", "--quiet", "-D", branch)
        controller.child.wait_for(f"revision.accepted revision={repo.git('rev-parse', 'HEAD')}")

    def checked() -> bool:
        return pointsman("check", repo.path, "--base", "main").returncode == 0

    def try_on_a_share(model: str) -> None:
        status, made = proposed(model)
        assert status == 0, made
        repo.git("checkout", "--quiet", branch := json.loads(made)["branch"])
        text = (repo.path / USE_CASE_FILE).read_text()
        repo.commit({USE_CASE_FILE: re.sub(r"percent: 5\b", TERMS, text)})
        assert checked()
        merge(branch)

    def becomes(state: str) -> str:
        def canary() -> dict[str, str]:
            found = wire.get(f"{controller.url}/v1/status").json["rollout"]["canaries"]
            return dict(found[0]) if found else {"state": ""}

        eventually(lambda: canary()["state"] == state, DECIDED_SECONDS)
        return canary().get("reason", "")

    status, words = proposed("bad")
    assert (status, "Keep old: bad is worse" in words) == (1, True), words

    try_on_a_share("fragile")
    makers["fragile"].clear()
    makers["fragile"].fault({"refusal": True})
    with Load([lambda: sidecar.url], workers=6, ways=[Kind("openai", False, "support")]) as load:
        why = becomes("rolled_back")
        eventually(lambda: wire.get(f"{sidecar.url}/pointsman/calls/{load.came[-1].id}").json["steering"] == why)
        assert all(call.is_whole for call in load.stop())
    assert "answers cut or refused: 100.00% of its calls, 0.00% by old" in why
    assert why in pointsman("canary", "list", "--controller", controller.url).stdout

    repo.commit({USE_CASE_FILE: SERIOUS})
    becomes("")
    review = pointsman(
        "review", repo.path, "--controller", controller.url, "--admin-token", controller.state / "admin.token"
    ).stdout
    assert "| fragile | old | rolled back | " in review
    assert f" | {why} |" in review
    assert "- keep: the samples spoke for fragile, and callers had it taken back" in review
    try_on_a_share("good")
    with Load([lambda: sidecar.url], workers=6, ways=[Kind("openai", False, "support")]) as load:
        becomes("promoted")
        assert all(call.is_whole for call in load.stop())

    bare = SERIOUS.replace("primary: old", "primary: good").replace("[spare]", "[old, spare]")
    proven = repo.git("rev-parse", "HEAD")
    for file in (repo.path / "use-cases" / "support" / "evidence").iterdir():
        repo.git("rm", "--quiet", str(file))
    unproven = repo.commit({USE_CASE_FILE: bare})
    eventually(lambda: f"revision.refused revision={unproven}" in controller.child.stderr())
    refused = pointsman("check", repo.path, "--base", proven)
    assert (refused.returncode, "error[evidence-missing]" in refused.stdout) == (1, True), refused
    repo.git("reset", "--quiet", "--hard", proven)

    status, made = proposed("good")
    assert (status, json.loads(made)["as"]) == (0, "primary"), made
    repo.git("checkout", "--quiet", branch := json.loads(made)["branch"])
    assert checked()
    merge(branch)
    becomes("")
    with Load([lambda: sidecar.url], workers=2, ways=[Kind("openai", False, "support")]) as load:
        eventually(lambda: any((call.model, call.reason) == ("good", "primary") for call in load.came[-2:]))
