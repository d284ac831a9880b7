"""Results files as people have them."""

import json
from decimal import Decimal

import pytest

from controller.evals.read import Results, parse_results
from controller.evals.rows import Row


def read(text: str, **kwargs: object) -> Results:
    return parse_results(text.encode(), "r.jsonl", default_model="r", **kwargs)  # type: ignore[arg-type]


def test_a_full_row_keeps_everything() -> None:
    line = {
        "run_id": "r1",
        "set_hash": "h",
        "sample_id": 7,
        "cluster": "c",
        "slice": "s",
        "epoch": 2,
        "model": "m",
        "provider": "p",
        "params_hash": "a",
        "prompt_hash": "b",
        "success": 0.5,
        "scores": {"exact": 1, "judge": None},
        "status": "length",
        "grader_versions": {"exact": 3},
        "in_tok": 10,
        "out_tok": 5,
        "cached_tok": 1,
        "cost_usd": 0.1,
        "price_version": "v",
        "ttft_ms": 1.5,
        "latency_ms": 20,
        "ts": "2026-11-01T00:00:00Z",
        "harness_version": "1",
        "never_heard_of": [1],
    }
    found = read(json.dumps(line))
    assert not found.problems
    assert found.rows == (
        Row(
            sample_id="7",
            model="m",
            success=0.5,
            epoch=2,
            status="length",
            cluster="c",
            slice="s",
            provider="p",
            run_id="r1",
            set_hash="h",
            params_hash="a",
            prompt_hash="b",
            price_version="v",
            harness_version="1",
            grader_versions={"exact": "3"},
            scores={"exact": 1.0, "judge": None},
            in_tok=10,
            out_tok=5,
            cached_tok=1,
            cost_usd=Decimal("0.1"),
            ttft_ms=1.5,
            latency_ms=20.0,
            ts="2026-11-01T00:00:00Z",
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"sample_id": 1, "success": true}\n\n{"sample_id": "2", "success": "I", "cost_usd": "0.01"}\n',
        '[{"sample_id": 1, "success": 1},\n {"sample_id": 2, "success": 0, "cost_usd": 0.01}]',
        "sample_id,success,cost_usd\r\n1,C,\r\n2,I,0.01\r\n",
        '\ufeffsample_id;success;cost_usd;note\n1;true;;"a;b"\n2;false;0.01;\n',
        "success\tsample_id\tcost_usd\n1\t1\t\n0\t2\t0.01\n",
        "sample_id,success\n1,1\n2,0\n".replace("\n2,0", ",,\n2,0"),
    ],
)
def test_one_table_in_many_forms(text: str) -> None:
    found = read(text)
    assert [str(problem) for problem in found.problems] == []
    assert [(row.sample_id, row.model, row.success, row.epoch) for row in found.rows] == [
        ("1", "r", 1.0, 1),
        ("2", "r", 0.0, 1),
    ]
    assert found.rows[0].cost_usd is None


def test_csv_cells_hold_scores_and_versions() -> None:
    text = (
        'sample_id,success,scores.exact,scores,grader_versions,kept\n1,1,0.5,"{""judge"": 4}","{""judge"": ""2""}",0\n'
    )
    (row,) = read(text, scores=["kept"]).rows
    assert row.scores == {"exact": 0.5, "judge": 4.0, "kept": 0.0}
    assert row.grader_versions == {"judge": "2"}


def test_every_problem_has_its_line_and_what_would_be_right() -> None:
    text = "\n".join(
        [
            '{"sample_id": 1, "success": "maybe", "status": "okay"}',
            '{"sample_id": 1, "success": 1',
            '{"id": 1, "success": 1}',
            '{"sample_id": null, "success": 1}',
            "[1]",
            '{"sample_id": 2, "success": 1, "cost_usd": "1,5", "epoch": 1.5, "scores": 3}',
        ]
    )
    found = [(problem.line, problem.path) for problem in read(text).problems]
    assert found == [
        (1, "success"),
        (1, "status"),
        (2, ""),
        (3, ""),
        (4, "sample_id"),
        (5, ""),
        (6, "epoch"),
        (6, "cost_usd"),
        (6, "scores"),
    ]
    assert all(problem.suggestion for problem in read(text).problems)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no results"),
        (b"sample_id,score\n1,1\n", "has no success"),
        (b"sample,success\n1,1\n", 'did you mean "sample"'),
        (b'sample_id,success\n1,"open\n', "is no CSV"),
        (b"sample_id,success\n1,1,2,3\n", "4 cells"),
        (b"sample_id,success,success\n1,1,0\n", "success twice"),
        (b"sample_id,success\n1,\xff\n", "UTF-8"),
        (b'[{"sample_id": 1', "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_files_that_are_no_results(data: bytes, words: str) -> None:
    found = parse_results(data, "r", default_model="r")
    assert any(words in str(problem) for problem in found.problems)
    assert not found.rows or words == "has no success"


def test_units_of_costs_are_kept_by_model() -> None:
    found = read("sample_id,success,model,cost_usd\n1,1,a,$1\n2,1,a,1\n1,1,b,2 cents\n3,1,a,\n")
    assert found.cost_units == {"a": {"", "USD"}, "b": {"cent"}}
    assert found.models == ("a", "b")
