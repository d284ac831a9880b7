"""A team's own grader: what it may give, and what it may not do to us."""

import os

import pytest

from controller.evals.graders.answer import Answer
from controller.evals.graders.python import PythonProcess
from schemas.rules.graders import PythonGrader

SAMPLE = {"id": "a", "input": "Say yes.", "target": "yes"}


def grader(**more: object) -> PythonGrader:
    return PythonGrader.model_validate({"id": "own", "kind": "python", "file": "own.py", **more})


async def graded(body: str, **more: object) -> tuple[float | None, str]:
    source = f"import os, sys\ndef grade(sample, answer):\n    {body}\n"
    async with PythonProcess(grader(**more), source) as process:
        return await process.grade(SAMPLE, Answer("yes"))


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return answer['text'] == sample['target']", 1.0),
        ("return 0.25", 0.25),
        ("print('a line of its own'); sys.stdout.flush(); return 1", 1.0),
        ("os.write(1, b'{}'); return 1", 1.0),
    ],
)
async def test_it_gives_a_value(body: str, value: float) -> None:
    assert await graded(body) == (value, "")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return None", "it said None"),
        ("return 2", "no number from 0 to 1"),
        ("return float('nan')", "no number from 0 to 1"),
        ("return 'yes'", "no number from 0 to 1"),
        ("raise KeyError('gone')", "KeyError: 'gone'"),
        ("sys.exit(3)", "its process ended"),
        ("os._exit(3)", "its process ended"),
        ("return 1 if bytearray(1 << 30) else 0", "MemoryError"),
        ("return object()", "not JSON serializable"),
    ],
)
async def test_what_it_cannot_tell_is_no_zero(body: str, why: str) -> None:
    value, error = await graded(body)
    assert value is None
    assert why in error


async def test_one_that_hangs_is_ended_and_the_next_answer_is_graded() -> None:
    source = "def grade(sample, answer):\n    while answer['text'] == 'hang': pass\n    return 1\n"
    async with PythonProcess(grader(timeout="500ms"), source) as process:
        assert await process.grade(SAMPLE, Answer("hang")) == (None, "it took too long")
        assert await process.grade(SAMPLE, Answer("yes")) == (1.0, "")


@pytest.mark.parametrize("source", ["def grade(:", "raise SystemExit", "import nothing_of_this_name", "x = 1"])
async def test_a_file_that_cannot_be_loaded_says_so(source: str) -> None:
    async with PythonProcess(grader(), source) as process:
        value, error = await process.grade(SAMPLE, Answer("yes"))
        assert value is None
        assert "cannot be used" in error


async def test_it_sees_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "s3cret")
    assert "SOME_API_KEY" in os.environ
    assert await graded("return 'SOME_API_KEY' not in os.environ and 'HOME' not in os.environ") == (1.0, "")
