"""What scripts and people rely on from `pointsman explain`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_json_is_the_plan_and_what_was_skipped(pointsman: Callable, examples: Path) -> None:
    answer = pointsman(
        "explain", examples, "--use-case", "customer-support", "--facts", '{"input_tokens": 1200, "tools": true}',
        "--given", '{"down": ["anthropic"]}', "--format", "json",
    )  # fmt: skip
    assert answer.status == 0
    assert answer.json == {
        "use_case": "customer-support",
        "plan": [
            {"model": "gpt-5", "provider": "openai", "reason": "fallback"},
            {"model": "gemini-3", "provider": "gemini", "reason": "fallback"},
        ],
        "skipped": [{"model": "claude-sonnet-4.6", "provider": "anthropic", "reason": "down"}],
    }


def test_an_alias_leads_to_its_use_case(pointsman: Callable, examples: Path) -> None:
    answer = pointsman("explain", examples, "--use-case", "voice-berlin", "--format", "json")
    assert answer.json["use_case"] == "real-time-agent"


def test_time_and_money_may_be_given(pointsman: Callable, examples: Path) -> None:
    night = pointsman(
        "explain", examples, "--use-case", "content-generation", "--given", '{"at": "2026-12-01T22:00:00Z"}',
        "--format", "json",
    )  # fmt: skip
    assert night.json["plan"][0] == {"model": "gpt-5-mini", "provider": "openai", "reason": "rules[0]"}
    spent = pointsman(
        "explain", examples, "--use-case", "customer-support", "--given", '{"spent": {"per_month": 5000.0}}',
        "--format", "json",
    )  # fmt: skip
    assert spent.json["plan"][0]["reason"] == "cost_ceiling.per_month"


def test_a_conversation_is_told_where_its_lot_fell(pointsman: Callable, rules: Path) -> None:
    use_case = rules / "use-cases/customer-support/use-case.yaml"
    use_case.write_text(use_case.read_text() + "canary: {model: gpt-5-mini, percent: 50}\n")

    def answer(conversation: str, **given: str) -> dict:
        facts = json.dumps({"conversation": conversation})
        return pointsman(
            "explain", rules, "--use-case", "customer-support", "--facts", facts, "--given", json.dumps(given),
            "--format", "json",
        ).json  # fmt: skip

    answers = [answer(f"c-{number}") for number in range(12)]
    assert {
        (told["plan"][0]["model"], told["plan"][0]["reason"], told["arm"], told["propensity"]) for told in answers
    } == {
        ("gpt-5-mini", "canary", "gpt-5-mini", 0.5),
        ("claude-sonnet-4.6", "primary", "claude-sonnet-4.6", 0.5),
    }
    assert answer("c-0", answered_by="gemini-3")["plan"][0] == {
        "model": "gemini-3", "provider": "gemini", "reason": "sticky",
    }  # fmt: skip
    facts = ("--facts", '{"conversation": "c-0"}')
    text = pointsman("explain", rules, "--use-case", "customer-support", *facts).out
    assert f"The lot fell to {answers[0]['arm']}, as it does for 0.5 of conversations." in text


def test_text_says_who_would_be_called_and_who_not(pointsman: Callable, examples: Path) -> None:
    answer = pointsman(
        "explain", examples, "--use-case", "document-understanding", "--facts", '{"files": true}',
        "--given", '{"down": ["claude-sonnet-4.6@anthropic"]}',
    )  # fmt: skip
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[:2] == ["document-understanding would call:", "  nobody"]
    assert any(line.split() == ["-", "llama-4", "at", "together", "capability.files"] for line in lines)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--use-case", "customer-suport"), 'unknown use case "customer-suport"; did you mean "customer-support"?'),
        (("--use-case", "customer-support", "--facts", "{"), "facts: not JSON"),
        (("--use-case", "customer-support", "--facts", "[]"), "facts: a JSON object is expected"),
        (("--use-case", "customer-support", "--facts", '{"tool": true}'), 'unknown fact "tool"; did you mean "tools"?'),
        (("--use-case", "customer-support", "--facts", '{"tools": 1}'), "tools must be true or false"),
        (("--use-case", "customer-support", "--given", '{"dwn": []}'), 'unknown key "dwn"; did you mean "down"?'),
        (("--use-case", "customer-support", "--given", '{"down": ["antropic"]}'), 'did you mean "anthropic"?'),
        (("--use-case", "customer-support", "--given", '{"spent": {"per_dy": 1}}'), 'did you mean "per_day"?'),
        (
            ("--use-case", "customer-support", "--given", '{"answered_by": "gpt-55"}'),
            'given.answered_by: unknown "gpt-55"',
        ),
        (
            ("--use-case", "customer-support", "--given", '{"answered_by": "openai"}'),
            'given.answered_by: unknown "openai"',
        ),
        (("--use-case", "customer-support", "--given", '{"at": "noon"}'), "expected a time with its zone"),
        ((), "the following arguments are required: --use-case"),
    ],
)
def test_wrong_usage_is_named_and_ends_with_2(
    pointsman: Callable, examples: Path, options: tuple[str, ...], says: str
) -> None:
    answer = pointsman("explain", examples, *options)
    assert (answer.status, answer.out) == (2, "")
    assert says in answer.err


def test_rules_with_errors_explain_nothing(pointsman: Callable, rules: Path) -> None:
    (rules / "models/gpt-5.yaml").unlink()
    answer = pointsman("explain", rules, "--use-case", "customer-support")
    assert answer.status == 1
    assert 'unknown model "gpt-5"' in answer.err
