"""`pointsman eval run`: wrong usage is said before anybody is asked, and what it suggests can be run."""

import argparse
import shlex
from pathlib import Path

import pytest

from controller.cli import eval_compare
from controller.evals.run.summary import compare_command
from schemas.rules.graders import Decision
from tests.unit.controller.cli.conftest import Pointsman

USE_CASE = "document-understanding"
JUDGE = "  - {id: judge, kind: llm_judge, model: gpt-5, rubric: rubric.md}\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--use-case", "documents"], 'no use case "documents"'),
        (["--use-case", "document-understandin"], 'did you mean "document-understanding"'),
        (["--use-case", "customer-support", "--model", "gpt-5"], "there is no eval set"),
        (["--use-case", USE_CASE], "name at least one --model"),
        (["--use-case", USE_CASE, "--model", "gpt-55"], 'did you mean "gpt-5"'),
        (["--use-case", USE_CASE, "--model", "gpt-5@bedrock"], "is not served by"),
        (["--use-case", USE_CASE, "--model", "gpt-5", "--sidecar", "localhost:4100"], "must be a URL"),
        (["--use-case", USE_CASE, "--model", "gpt-5", "--key", "/nowhere"], "cannot be read"),
        (["--use-case", USE_CASE, "--model", "gpt-5", "--budget", "-1"], "no amount above 0"),
        (["--use-case", USE_CASE, "--model", "gpt-5", "--limit", "0"], "whole number of 1 or more"),
        (["--use-case", USE_CASE, "--model", "gpt-5", "--out", "/nowhere/x.jsonl"], "No such file"),
    ],
)
def test_wrong_usage(pointsman: Pointsman, rules: Path, words: list[str], why: str) -> None:
    answer = pointsman("eval", "run", rules, *words)
    assert (answer.status, answer.out) == (2, "")
    assert why in answer.err


def test_a_set_with_errors_is_not_run(pointsman: Pointsman, rules: Path) -> None:
    with (rules / "use-cases" / USE_CASE / "eval" / "set.jsonl").open("a") as file:
        file.write('{"id": "x"}\n')
    answer = pointsman("eval", "run", rules, "--use-case", USE_CASE, "--model", "gpt-5")
    assert answer.status == 1
    assert "set.jsonl:251" in answer.out


def test_a_judge_of_a_compared_vendor_is_refused(pointsman: Pointsman, rules: Path) -> None:
    folder = rules / "use-cases" / USE_CASE / "eval"
    (folder / "rubric.md").write_text("Is it right?")
    graders = (folder / "graders.yaml").read_text()
    (folder / "graders.yaml").write_text(graders.replace("graders:\n", f"graders:\n{JUDGE}"))
    words = ["--use-case", USE_CASE, "--model", "claude-sonnet-4.6", "--model", "gpt-5-mini"]
    answer = pointsman("eval", "run", rules, *words)
    assert answer.status == 2
    assert "judge judge is gpt-5 of openai, like gpt-5-mini" in answer.err


def test_nobody_answers(pointsman: Pointsman, rules: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    words = ["--use-case", USE_CASE, "--model", "gpt-5", "--sidecar", "http://127.0.0.1:9", "--out", out]
    answer = pointsman("eval", "run", rules, *words)
    assert answer.status == 1
    assert "stopped: no sidecar answers at http://127.0.0.1:9" in answer.err
    assert "0 of 250 results" in answer.out


def test_the_command_that_it_suggests_is_one() -> None:
    decision = Decision.model_validate(
        {
            "margin": 0.03, "min_samples": 50, "min_saving": 0.2, "slices": {"legal": {"margin": 0.05}},
            "guardrails": {"latency_p95_ratio": 1.3, "refusal_rate_max": 0.02},
        }
    )  # fmt: skip
    parser = argparse.ArgumentParser()
    eval_compare.add_parser(parser.add_subparsers())
    words = shlex.split(compare_command(Path("my results.jsonl"), ("a", "b@c"), decision))
    args = parser.parse_args(words[2:])
    assert (args.incumbent, args.candidate) == (Path("my results.jsonl"), Path("my results.jsonl"))
    assert (args.incumbent_model, args.candidate_model, args.margin) == ("a", "b@c", 0.03)
    assert (args.min_samples, args.min_saving, args.max_latency_ratio, args.max_refusals) == (50, 0.2, 1.3, 0.02)
