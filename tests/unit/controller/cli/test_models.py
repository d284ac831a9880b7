"""What people and CI rely on from `pointsman models import`."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TODAY = ("--today", "2026-11-25")
IMPORT = ("models", "import")


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_examples_have_the_prices_of_the_list(pointsman: Callable, examples: Path) -> None:
    answer = pointsman(*IMPORT, examples, *TODAY, "--check")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out == "15 prices held against genai-prices 0.2.3: 15 as listed\n"


def test_a_price_that_changed_is_a_row_before_the_others_and_then_as_listed(pointsman: Callable, rules: Path) -> None:
    haiku = rules / "models/claude-haiku-4.5.yaml"
    replace(haiku, "input: 1\n", "input: 0.8  # as it was\n")
    before = haiku.read_text()
    check = pointsman(*IMPORT, rules, *TODAY, "--check")
    assert check.status == 1
    assert haiku.read_text() == before
    answer = pointsman(*IMPORT, rules, *TODAY)
    assert answer.status == 0
    assert answer.out.splitlines() == [
        "models/claude-haiku-4.5.yaml  anthropic: changed; from 2026-11-25: input 0.8 → 1",
        "15 prices held against genai-prices 0.2.3: 1 changed, 14 as listed",
    ]
    new = haiku.read_text()
    row = "  - from: 2026-11-25\n    input: 1\n    output: 5\n"
    assert row in new
    assert new.replace(new[new.index(row) : new.index("  - from: 2026-10-01")], "") == before
    assert pointsman("check", rules, *TODAY).status == 0
    assert pointsman(*IMPORT, rules, *TODAY, "--check").status == 0


def test_a_dated_change_begins_on_its_day(pointsman: Callable, rules: Path) -> None:
    llama = rules / "models/llama-4.yaml"
    replace(llama, "      - {from: 2026-11-03, input: 0.35, output: 1.00, cache_read: 0.17}\n", "")
    answer = pointsman(*IMPORT, rules, *TODAY, "--provider", "openrouter")
    assert "from 2026-11-03: input 0.1875 → 0.35" in answer.out
    assert "      - {from: 2026-11-03, input: 0.35, output: 1, cache_read: 0.17}\n" in llama.read_text()


def test_a_second_change_on_one_day_is_left_to_people(pointsman: Callable, rules: Path) -> None:
    haiku = rules / "models/claude-haiku-4.5.yaml"
    replace(haiku, "from: 2026-10-01\n    input: 1\n", "from: 2026-11-25\n    input: 2\n")
    before = haiku.read_text()
    answer = pointsman(*IMPORT, rules, *TODAY)
    assert answer.status == 1
    assert "to be done by hand; a row from 2026-11-25 stands there already" in answer.out
    assert haiku.read_text() == before


def test_a_price_by_contract_is_left_alone(pointsman: Callable, rules: Path) -> None:
    replace(rules / "models/claude-haiku-4.5.yaml", "input: 1\n", "input: 0.8\n    contract: true\n")
    answer = pointsman(*IMPORT, rules, *TODAY, "--check")
    assert answer.status == 0
    assert "anthropic: by contract; your own price since 2026-10-01" in answer.out


def test_another_door_gets_prices_of_its_own(pointsman: Callable, rules: Path) -> None:
    """The model's prices are those of its first door; what was in force at the other one stays so."""
    haiku = rules / "models/claude-haiku-4.5.yaml"
    door = '  - {provider: bedrock, name: "anthropic.claude-haiku-4-5-20251001-v1:0"}\n'
    replace(haiku, "  - {provider: anthropic, name: claude-haiku-4-5}\n",
            "  - {provider: anthropic, name: claude-haiku-4-5}\n" + door)  # fmt: skip
    shared = haiku.read_text().partition("\nprices:\n")[2]
    answer = pointsman(*IMPORT, rules, *TODAY, "--provider", "bedrock")
    assert "claude-haiku-4.5.yaml  bedrock: changed; from 2026-11-25: input 1 → 1.1, output 5 → 5.5" in answer.out
    text = haiku.read_text()
    assert text.partition("\nprices:\n")[2] == shared
    assert "models/" not in pointsman("check", rules, *TODAY).out
    assert pointsman(*IMPORT, rules, *TODAY, "--check").status == 0


def test_a_new_model_waits_for_what_the_list_does_not_know(pointsman: Callable, rules: Path) -> None:
    new = (*IMPORT, rules, *TODAY, "--provider", "anthropic", "--model", "claude-opus-4-5")
    answer = pointsman(*new)
    assert answer.status == 0
    assert "models/claude-opus-4-5.yaml  anthropic: new; to be filled in: max_output_tokens, capabilities" in answer.out
    check = pointsman("check", rules, *TODAY)
    assert check.status == 1
    for key in ("max_output_tokens  error[wrong-type]", "capabilities  error[wrong-type]"):
        assert key in check.out


def test_a_new_model_with_all_that_is_asked_for_is_fine(pointsman: Callable, rules: Path) -> None:
    said = ("--max-output-tokens", "64000", "--capabilities", "tools, vision")
    answer = pointsman(*IMPORT, rules, *TODAY, "--provider", "anthropic", "--model", "claude-opus-4-5", *said,
                       "--format", "json")  # fmt: skip
    assert answer.status == 0
    assert answer.json["source"] == "genai-prices 0.2.3"
    assert answer.json["written"] == ["models/claude-opus-4-5.yaml"]
    assert [found["state"] for found in answer.json["findings"]] == ["same", "same", "same", "new"]
    assert (
        (rules / "models/claude-opus-4-5.yaml").read_text()
        == """\
# yaml-language-server: $schema=../../../schemas/json/model.json
model: claude-opus-4-5
vendor: anthropic
context_window: 200000
max_output_tokens: 64000
capabilities: [tools, vision]
served_by:
  - {provider: anthropic, name: "claude-opus-4-5"}
# US dollars per million tokens, by genai-prices 0.2.3. Compare them with your contract.
prices:
  - from: 2026-11-25
    input: 5
    output: 25
    cache_read: 0.5
    cache_write: 6.25
    cache_write_1h: 10
    per_1000_searches: 10
    service:
      batch: {times: 0.5}
"""
    )
    assert pointsman("check", rules, *TODAY).status == 0
    assert pointsman(*IMPORT, rules, *TODAY, "--provider", "anthropic", "--all", "--check").status == 0


def test_a_model_of_the_same_name_is_not_taken_for_the_same_model(pointsman: Callable, rules: Path) -> None:
    answer = pointsman(*IMPORT, rules, *TODAY, "--provider", "openrouter", "--model", "openai/gpt-5-mini")
    assert answer.status == 1
    assert 'add to its served_by: {provider: openrouter, name: "openai/gpt-5-mini"}' in answer.out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--provider", "antropic"], 'no provider "antropic"; did you mean "anthropic"?'),
        (["--provider", "ollama"], 'does not know who answers at the URL of "ollama"; say --source ID'),
        (["--all"], "--model and --all need one --provider"),
        (["--source", "openai"], "--source needs one --provider"),
        (["--provider", "vllm", "--source", "opena"], 'has no provider "opena"; did you mean "openai"?'),
        (["--provider", "openai", "--model", "gtp*"], "has no model at openai that gtp* names"),
        (["--capabilities", "tool"], '"tool" is not a capability; did you mean "tools"?'),
    ],
)
def test_wrong_usage_says_what_would_be_right(pointsman: Callable, examples: Path, argv: list[str], words: str) -> None:
    answer = pointsman(*IMPORT, examples, *TODAY, *argv)
    assert answer.status == 2
    assert words in answer.err


def test_without_the_package_it_says_how_to_get_it(
    pointsman: Callable, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    answer = pointsman(*IMPORT, examples)
    assert (answer.status, answer.out) == (2, "")
    assert "pip install 'pointsman[prices]'" in answer.err
