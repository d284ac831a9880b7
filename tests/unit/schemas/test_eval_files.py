"""Eval sets as they are written: what a set's hash stands for, sets of any size and of any bytes, and every problem."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.eval_files import EvalSet, eval_problems, load_eval
from schemas.eval_set import MAX_SET_BYTES, MOST_BAD_LINES, parse_set

GRADERS = "version: 1\ngraders: [{id: exact, kind: exact}]\n"


def line(sample_id: str, **more: object) -> str:
    return json.dumps({"id": sample_id, "input": "What?", "target": "that", **more})


def eval_set(text: str, graders: str = GRADERS, **files: str) -> EvalSet:
    loaded, problems = load_eval("chat", {"set.jsonl": text, "graders.yaml": graders, **files}, None)
    assert loaded is not None, problems
    return loaded


def test_a_set_may_ask_texts_and_conversations_with_tools() -> None:
    turns = [{"role": "system", "content": "Be short."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    tools = [{"type": "function", "function": {"name": "look"}}]
    text = f"{line('a', target=['one', 'two'], cluster='c', slice='s', added='2026-11-01', source='us')}\n\n"
    text += line("b", input=turns, tools=tools, target=1.5)
    first, second = eval_set(text).lines
    assert (first.number, first.sample.id, first.sample.target, first.sample.slice) == (1, "a", ["one", "two"], "s")
    assert (second.number, second.sample.tools) == (3, tuple(tools))


@pytest.mark.parametrize(
    ("text", "graders", "is_same"),
    [
        (f"{line('b')}\n\n{line('a')}\r\n", GRADERS, True),
        (f"﻿{line('a')}\n{line('b')}", f"# a comment\n{GRADERS}", True),
        (f"{line('a')}\n{line('b', target='this')}", GRADERS, False),
        (f"{line('a')}\n{line('b')}\n{line('c')}", GRADERS, False),
        (f"{line('a')}\n{line('b')}", f"{GRADERS}epochs: 2\n", False),
    ],
    ids=["order", "layout", "target", "sample", "graders"],
)
def test_the_hash_is_of_what_the_set_says(text: str, graders: str, is_same: bool) -> None:
    here = eval_set(f"{line('a')}\n{line('b')}")
    assert here.hash.startswith("sha256:")
    assert (eval_set(text, graders).hash == here.hash) is is_same


def test_the_hash_is_also_of_the_files_that_graders_name() -> None:
    graders = "version: 1\ngraders: [{id: judge, kind: llm_judge, model: m, rubric: rubric.md}]\n"
    one, other = (eval_set(line("a"), graders, **{"rubric.md": text}) for text in ("Is it kind?", "Is it short?"))
    assert one.hash != other.hash
    assert one.files == {"rubric.md": "Is it kind?"}
    assert eval_set(line("a"), graders, **{"rubric.md": "Is it kind?", "notes.md": "nothing"}).hash == one.hash


def test_a_set_of_many_samples_is_read() -> None:
    lines, problems = parse_set("set.jsonl", "\n".join(line(f"s{number}") for number in range(20_000)))
    assert (len(lines), problems) == (20_000, ())


def test_a_set_that_is_too_large_is_not_read() -> None:
    lines, (problem,) = parse_set("set.jsonl", " " * (MAX_SET_BYTES + 1))
    assert (lines, problem.code) == ((), "eval-set-too-large")


def test_a_set_of_bad_lines_is_given_up() -> None:
    _, problems = parse_set("set.jsonl", "{}\n" * (MOST_BAD_LINES + 10))
    assert {problem.code for problem in problems} == {"missing-key", "many-bad-lines"}
    assert problems[-1].line == MOST_BAD_LINES + 1


def test_every_problem_of_every_folder_is_told_at_once() -> None:
    files = {
        "use-cases/chat/eval/set.jsonl": f"{{\n{line('a', imput=1)}",
        "use-cases/shop/eval/set.jsonl": line("a"),
        "use-cases/shop/use-case.yaml": "not read here",
    }
    assert [(problem.file.split("/")[1], problem.line, problem.code) for problem in eval_problems(files, None)] == [
        ("chat", 0, "missing-eval-file"),
        ("chat", 1, "json-syntax"),
        ("chat", 2, "unknown-key"),
        ("shop", 0, "missing-eval-file"),
    ]


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))))
def test_any_text_is_answered(text: str) -> None:
    files = {"set.jsonl": text, "graders.yaml": text}
    loaded, problems = load_eval("chat", files, None)
    assert loaded is None
    assert problems


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["id", "input", "target", "tools", "slice", "weight", "added"])


@given(st.dictionaries(KEYS, JSON), JSON)
def test_any_json_is_answered(sample: dict[str, object], target: object) -> None:
    lines, problems = parse_set("set.jsonl", f"{json.dumps(sample)}\n{line('a', target=target)}")
    assert len(lines) == 2 or all(problem.line in (1, 2) and problem.column >= 1 for problem in problems)
    assert len(lines) + len({problem.line for problem in problems}) == 2
