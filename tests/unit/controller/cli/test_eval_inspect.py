"""`pointsman eval run --engine inspect`: what does not go together is said before anybody is asked."""

import importlib.util
from pathlib import Path

import pytest

from tests.unit.controller.cli.conftest import Pointsman

USE_CASE = "document-understanding"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--task", "task.py"], "--task goes with --engine inspect"),
        (["--log-dir", "logs"], "--log-dir goes with --engine inspect"),
        (["--engine", "inspect", "--budget", "2"], "--budget does not go with --engine inspect"),
        (["--engine", "inspect", "--retry-failed"], "--retry-failed does not go with --engine inspect"),
        (["--engine", "inspect", "--metric", "match"], "--metric goes with --task"),
        (["--engine", "inspect", "--task", "/nowhere/task.py@sums"], "there is no such file"),
        (["--engine", "inspect", "--out", __file__], "name another --out"),
        (["--engine", "inspect", "--model", "gpt-55"], 'did you mean "gpt-5"'),
        (["--engine", "inspect", "--task", __file__, "--use-case", "customer-support", "--model", "gpt-55"], "gpt-5"),
    ],
)
def test_wrong_usage(pointsman: Pointsman, rules: Path, words: list[str], why: str) -> None:
    answer = pointsman("eval", "run", rules, "--use-case", USE_CASE, "--model", "gpt-5", *words)
    assert (answer.status, answer.out) == (2, "")
    assert why in answer.err


@pytest.mark.skipif(importlib.util.find_spec("inspect_ai") is not None, reason="Inspect AI is installed here")
def test_without_inspect_it_says_what_to_install(pointsman: Pointsman, rules: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    words = ["--use-case", USE_CASE, "--model", "gpt-5", "--engine", "inspect", "--out", out]
    answer = pointsman("eval", "run", rules, *words)
    assert (answer.status, out.exists()) == (2, False)
    assert "pip install 'pointsman[evals-inspect]'" in answer.err
