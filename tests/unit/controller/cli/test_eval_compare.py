"""`pointsman eval compare` end to end: files in, words and statuses out."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main

COUNTS = (343, 28, 29, 100)
Written = list[dict[str, Any]]


def results(
    which: int, *, counts: tuple[int, int, int, int] = COUNTS, model: str | None = None, usd: object = 0.01
) -> Written:
    outcomes = [(1, 1)] * counts[0] + [(0, 1)] * counts[1] + [(1, 0)] * counts[2] + [(0, 0)] * counts[3]
    return [
        {
            "sample_id": i,
            "model": model or ("old", "new")[which],
            "success": pair[which],
            "cost_usd": usd,
            "slice": f"part-{i % 2}",
        }
        for i, pair in enumerate(outcomes)
    ]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def to(name: str, rows: Written) -> str:
        path = tmp_path / name
        if name.endswith(".csv"):
            with path.open("w", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, list(rows[0]))
                table.writeheader()
                table.writerows(rows)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return to


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        status = main(["eval", "compare", *words])
    except SystemExit as stop:
        status = int(str(stop.code))
    out, err = capsys.readouterr()
    return status, out, err


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status, out, err = run(capsys, *words, "--format", "json")
    assert err == ""
    return status, json.loads(out)


def test_verdict_and_status(capsys: pytest.CaptureFixture[str], write: Any) -> None:
    files = "--incumbent", write("a.jsonl", results(0)), "--candidate", write("b.csv", results(1, usd="$0.0064"))
    status, found = answer(capsys, *files)
    assert status == 0
    assert (found["verdict"], found["action"], found["n"], found["needed"]) == ("inconclusive", "need_more", 500, 2237)
    assert found["interval"] == pytest.approx([-0.0323823, 0.02830176], abs=6e-7)
    assert found["cost_ratio"] == pytest.approx(0.64)
    assert [row["slice"] for row in found["slices"]] == ["part-0", "part-1"]
    assert answer(capsys, *files, "--margin", "0.05")[1]["action"] == "promote"
    assert answer(capsys, *files, "--margin", "0.05", "--min-samples", "501")[1]["verdict"] == "inconclusive"
    assert answer(capsys, *files, "--margin", "0.05", "--min-saving", "0.4")[1]["action"] == "keep"
    assert answer(capsys, *files, "--slices", "part-1=0.2")[1]["slices"][0]["margin"] == 0.2


def test_an_open_lint_stops_until_it_is_accepted(capsys: pytest.CaptureFixture[str], write: Any) -> None:
    files = "--incumbent", write("a.jsonl", results(0, usd=None)), "--candidate", write("b.jsonl", results(1))
    status, found = answer(capsys, *files, "--margin", "0.05")
    assert (status, found["verdict"], found["action"]) == (1, "inconclusive", "keep")
    assert [(lint["code"], lint["accepted"]) for lint in found["lints"]] == [("L8", False)]
    status, found = answer(capsys, *files, "--margin", "0.05", "--accept", "l8")
    assert (status, found["verdict"], found["cost_ratio"]) == (0, "non_inferior", None)
    assert [(lint["code"], lint["accepted"]) for lint in found["lints"]] == [("L8", True)]
    status, found = answer(capsys, *files, "--accept", "L8", "--published", "old=0.528")
    assert [lint["code"] for lint in found["lints"] if not lint["accepted"]] == ["L3"]


def test_several_models_in_one_file(capsys: pytest.CaptureFixture[str], write: Any) -> None:
    both = write("all.jsonl", results(0) + results(1, usd=0.0064) + results(1, model="third", usd=0.02))
    files = "--incumbent", both, "--candidate", both
    status, _, err = run(capsys, *files)
    assert status == 2
    assert "choose by --incumbent-model: new, old, third" in err
    chosen = *files, "--incumbent-model", "old", "--candidate-model", "new"
    status, found = answer(capsys, *chosen, "--pareto", both)
    assert (status, found["n"], found["diff"]) == (0, 500, -0.002)
    assert [point["model"] for point in found["models"]["points"]] == ["new", "old", "third"]


def test_one_model_against_itself_is_told_apart_by_place(capsys: pytest.CaptureFixture[str], write: Any) -> None:
    path = write("a.csv", results(0))
    status, found = answer(capsys, "--incumbent", path, "--candidate", path, "--published", "old=0.5")
    assert (status, found["verdict"]) == (1, "inconclusive")
    assert found["candidate"]["model"] == "old (candidate)"
    assert found["lints"][0]["code"] == "L3"
    assert answer(capsys, "--incumbent", path, "--candidate", path)[1]["verdict"] == "non_inferior"


def test_a_column_is_the_check_of_a_cascade(capsys: pytest.CaptureFixture[str], write: Any) -> None:
    counts = (200, 100, 100, 100)
    cheap = [row | {"kept": "true" if row["success"] else "false"} for row in results(1, counts=counts, usd=0.001)]
    files = "--incumbent", write("a.jsonl", results(0, counts=counts)), "--candidate", write("b.csv", cheap)
    found = answer(capsys, *files, "--cascade", "kept")[1]["cascade"]
    assert (found["cheap"], found["n"], found["escalated"], found["lawful"]) == ("new", 500, 0.4, True)
    status, _, err = run(capsys, *files, "--cascade", "kapt")
    assert (status, 'no result has a score or column "kapt"' in err) == (2, True)


def test_a_summary_beside_the_results_tells_of_the_judge(capsys: pytest.CaptureFixture[str], write: Any) -> None:
    old = write("a.jsonl", results(0))
    files = "--incumbent", old, "--candidate", write("b.jsonl", results(1))
    summary = Path(f"{old}.summary.json")
    summary.write_text('{"judges": [{"grader": "judge", "model": "large", "kappa": 0.3}]}', encoding="utf-8")
    assert [lint["code"] for lint in answer(capsys, *files)[1]["lints"]] == ["L10"]
    summary.write_text('{"judges": 3}', encoding="utf-8")
    status, _, err = run(capsys, *files)
    assert (status, "a.jsonl.summary.json" in err) == (2, True)
    summary.unlink()
    assert [lint["code"] for lint in answer(capsys, *files, "--judge-model", "new")[1]["lints"]] == ["L10"]
    assert [lint["code"] for lint in answer(capsys, *files, "--judge-kappa", "0.5")[1]["lints"]] == ["L10"]
    assert answer(capsys, *files, "--judge-kappa", "0.5", "--min-kappa", "0.4")[1]["lints"] == []


@pytest.mark.parametrize(
    ("form", "begins"), [("text", "new against old"), ("markdown", "## new against old"), ("html", "<!doctype html>")]
)
def test_forms_and_files(
    capsys: pytest.CaptureFixture[str], write: Any, tmp_path: Path, form: str, begins: str
) -> None:
    files = "--incumbent", write("a.jsonl", results(0)), "--candidate", write("b.jsonl", results(1))
    status, out, _ = run(capsys, *files, "--format", form)
    assert status == 0
    assert out.startswith(begins)
    there = tmp_path / "report"
    assert run(capsys, *files, "--format", form, "--out", str(there)) == (0, "", "")
    assert there.read_text(encoding="utf-8") == out


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--margin", "0"], "above 0"),
        (["--margin", "2"], "0.528 for 52.8 %"),
        (["--accept", "L12"], 'no lint "L12"'),
        (["--published", "old=52.8"], "0.528 for 52.8 %"),
        (["--published", "other=0.5"], "one of new, old"),
        (["--slices", "part-3"], 'did you mean "part-'),
        (["--slices", "part-1=x"], "--slices part-1=x"),
        (["--incumbent-model", "olt"], 'did you mean "old"'),
        (["--pareto", "/nowhere/at/all.csv"], "/nowhere/at/all.csv: No such file"),
        (["--out", "/nowhere/at/all.html"], "--out /nowhere/at/all.html: No such file"),
        (["--min-samples", "-3"], "whole number"),
        (["--ceiling", "nan"], "0 or more"),
    ],
)
def test_wrong_usage_says_what_would_be_right(
    capsys: pytest.CaptureFixture[str], write: Any, extra: list[str], says: str
) -> None:
    files = "--incumbent", write("a.jsonl", results(0)), "--candidate", write("b.jsonl", results(1))
    status, out, err = run(capsys, *files, *extra)
    assert (status, out) == (2, "")
    assert says in err


def test_files_that_cannot_be_read_are_named_with_their_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write: Any
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("sample_id,success\n1,banana\n2,1\n" + "3,no idea\n" * 30, encoding="utf-8")
    files = "--incumbent", write("a.jsonl", results(0)), "--candidate", str(bad)
    status, out, err = run(capsys, *files)
    assert (status, out) == (2, "")
    assert err.startswith('bad.csv:2  success  "banana" cannot be read; write a number from 0 to 1')
    assert err.endswith("… and 11 more\n")
    status, found = answer(capsys, *files)
    assert (status, len(found["problems"]), found["problems"][0]["line"]) == (2, 31, 2)
