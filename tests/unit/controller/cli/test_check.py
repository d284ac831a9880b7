"""What scripts and people rely on from `pointsman check`."""

from collections.abc import Callable
from pathlib import Path

import pytest

TODAY = ("--today", "2026-11-23")
USE_CASE = "use-cases/customer-support/use-case.yaml"


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_examples_are_fine(pointsman: Callable, examples: Path) -> None:
    answer = pointsman("check", examples, *TODAY)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out == "no problems in 51 rule files and 23 rule tests\n"


def test_json_is_one_document_with_the_promised_keys(pointsman: Callable, rules: Path) -> None:
    replace(rules / USE_CASE, "primary: claude-sonnet-4.6", "primary: claude-sonet-4.6")
    answer = pointsman("check", rules, *TODAY, "--format", "json")
    assert answer.status == 1
    assert answer.json == {
        "problems": [
            {
                "file": USE_CASE,
                "line": 7,
                "column": 10,
                "code": "unknown-model",
                "severity": "error",
                "message": 'unknown model "claude-sonet-4.6"',
                "suggestion": 'did you mean "claude-sonnet-4.6"?',
            }
        ]
    }


def test_json_of_good_rules_is_an_empty_list(pointsman: Callable, examples: Path) -> None:
    answer = pointsman("check", examples, *TODAY, "--format", "json")
    assert (answer.status, answer.json) == (0, {"problems": []})


def test_text_names_file_line_and_column(pointsman: Callable, rules: Path) -> None:
    replace(rules / USE_CASE, "fallbacks:", "fallback:")
    answer = pointsman("check", rules, *TODAY)
    assert answer.status == 1
    assert (
        f'{rules}/{USE_CASE}:8:1  fallback  error[unknown-key] unknown key "fallback"; did you mean "fallbacks"?'
        in (answer.out)
    )
    assert "rule tests were not run" in answer.out


def test_github_annotates_the_line_and_escapes_what_would_end_the_command(pointsman: Callable, rules: Path) -> None:
    replace(rules / "models/gpt-5.yaml", "vendor: openai", 'vendor: "a%, b: c"')
    answer = pointsman("check", rules, *TODAY, "--format", "github")
    assert answer.status == 1
    assert answer.out.startswith(f"::error file={rules}/models/gpt-5.yaml,line=6,col=9,title=wrong-form::")
    assert "a%25, b: c" in answer.out
    assert len(answer.out.splitlines()) == 1


def test_a_warning_does_not_fail(pointsman: Callable, rules: Path) -> None:
    replace(rules / USE_CASE, "first_token: 15s", "first_token: 50s")
    answer = pointsman("check", rules, *TODAY)
    assert answer.status == 0
    assert "warning[deadline-too-short]" in answer.out
    assert "1 warning in 51 rule files" in answer.out


def test_a_rule_test_that_does_not_hold_is_an_error_with_its_place(pointsman: Callable, rules: Path) -> None:
    replace(rules / USE_CASE, "fallbacks: [gpt-5, gemini-3]", "fallbacks: [gemini-3, gpt-5]")
    answer = pointsman("check", rules, *TODAY, "--format", "json")
    assert answer.status == 1
    first = answer.json["problems"][0]
    assert (first["file"], first["line"], first["code"]) == (
        "use-cases/customer-support/tests.yaml",
        8,
        "rule-test-failed",
    )
    assert "expected route [gpt-5, gemini-3], but it is [gemini-3, gpt-5]" in first["message"]
    assert "claude-sonnet-4.6@anthropic (down)" in first["suggestion"]


def test_reviews_are_judged_by_the_day_that_is_given(pointsman: Callable, examples: Path) -> None:
    answer = pointsman("check", examples, "--today", "2028-01-01", "--format", "json")
    assert answer.status == 1
    assert {(p["code"], p["severity"]) for p in answer.json["problems"]} == {
        ("review-overdue", "error"),
        ("review-overdue", "warning"),
        ("stale-price", "warning"),
        ("drill-expired", "warning"),
    }


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("/nowhere/at/all",), "cannot read /nowhere"),
        (("--today", "tomorrow"), '"tomorrow" is not a date; write it as 2026-11-23'),
        (("--format", "xml"), "invalid choice: 'xml'"),
        (("--nonsense",), "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_usage_is_named_and_ends_with_2(pointsman: Callable, argv: tuple[str, ...], says: str) -> None:
    answer = pointsman("check", *argv)
    assert (answer.status, answer.out) == (2, "")
    assert says in answer.err


def test_an_empty_folder_says_what_is_missing(pointsman: Callable, tmp_path: Path) -> None:
    answer = pointsman("check", tmp_path, *TODAY)
    assert answer.status == 1
    assert "error[missing-file] the rules have no pointsman.yaml" in answer.out


def test_files_that_are_not_text_or_hidden_do_not_stop_it(pointsman: Callable, rules: Path) -> None:
    (rules / "models/gpt-5.yaml").write_bytes(b"model: \xff\xfe\n")
    (rules / ".hidden/models").mkdir(parents=True)
    (rules / ".hidden/models/x.yaml").write_text("nonsense")
    answer = pointsman("check", rules, *TODAY, "--format", "json")
    assert answer.status == 1
    found = [(p["file"], p["line"], p["column"], p["code"]) for p in answer.json["problems"]]
    assert ("models/gpt-5.yaml", 1, 8, "not-utf8") in found
    assert not any(".hidden" in file for file, *_ in found)
