"""What a LiteLLM configuration becomes: golden pairs, and what must hold of any configuration."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.migrate.litellm import convert
from controller.migrate.notes import Converted, NotAConfig
from controller.prices.known import PriceList
from tests.unit.controller.migrate.conversions import PRICES, TODAY, errors_of, shown

ENVIRONMENT = {"AZURE_EU_BASE": "https://acme-eu.openai.azure.com"}
CASES = sorted((Path(__file__).parent / "litellm").glob("*.yaml"))


def converted(text: str, prices: PriceList | None = PRICES) -> Converted:
    return convert("config.yaml", text, owner="platform", today=TODAY, environment=ENVIRONMENT, prices=prices)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_golden(case: Path) -> None:
    assert shown(converted(case.read_text())) == case.with_suffix(".expected").read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_what_comes_out_passes_check(case: Path) -> None:
    assert errors_of(converted(case.read_text())) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_no_secret_is_copied_or_repeated(case: Path) -> None:
    text = shown(converted(case.read_text()))
    assert not [word for word in ("in-clear", "not-a-key", "postgresql://") if word in text]


def test_every_key_that_is_not_carried_over_has_its_line() -> None:
    text = CASES[0].read_text()
    lines = text.splitlines()
    for note in converted(text).notes:
        key = note.key.rpartition(".")[2].partition("[")[0]
        assert key in lines[note.line - 1] or note.key.endswith("]"), note


def test_a_price_of_ones_own_stands_above_the_list_and_an_unknown_one_is_asked_for() -> None:
    row = "{model_name: m, litellm_params: {model: openai/gpt-5-mini%s}}"
    own = converted("model_list: [" + row % ", input_cost_per_token: 3e-7, output_cost_per_token: 0.000002" + "]")
    price = yaml.safe_load(own.files["models/gpt-5-mini.yaml"])["prices"][0]
    assert (Decimal(str(price["input"])), price["output"], price["contract"]) == (Decimal("0.3"), 2, True)
    unknown = converted("model_list: [" + row % "" + "]", prices=None)
    assert any("no price is known" in note.says for note in unknown.notes)
    assert "missing-price" in errors_of(unknown)[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty-file"),
        ("model_list: [", "yaml-syntax"),
        ("- model_name: *\n", "yaml-syntax"),
        ("just words", "model_list, a list of deployments, is not there"),
        ("model_list: {a: b}", "model_list, a list of deployments, is not there"),
        ("model_list: []", "none of the 0 deployments"),
        ('model_list: [{model_name: "*", litellm_params: {model: "*"}}]', "model_list[0]  skipped: a wildcard"),
        ("model_list: [{model_name: a, litellm_params: {model: b/c}}]", "no such provider is known here"),
        ('model_list: [{model_name: a, litellm_params: {model: openai/b, api_base: "x://u:p@h"}}]', "not a plain URL"),
        ("a: " + "[" * 100, "too-deep"),
        ("a: " + "x" * (1 << 20), "file-too-large"),
    ],
)
def test_what_is_no_configuration_is_said_with_its_place(text: str, says: str) -> None:
    with pytest.raises(NotAConfig) as refused:
        converted(text)
    assert says in str(refused.value)
    assert "u:p" not in str(refused.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["gpt-4o", "os.environ/X", "", "-", "openai/x", "no"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "m", "fallbacks"]), inner),
    max_leaves=6,
)
KEYS = (
    "api_key",
    "api_base",
    "rpm",
    "tpm",
    "weight",
    "order",
    "timeout",
    "organization",
    "extra_headers",
    "api_version",
    "litellm_credential_name",
    "custom_llm_provider",
    "vertex_project",
    "aws_region_name",
)
MODELS = st.sampled_from(
    ["openai/gpt-4o", "azure/x", "bedrock/a.b", "vertex_ai/claude-1", "groq/a/b", "gpt-5", "x/y", "ollama/no"]
)
ROW = st.fixed_dictionaries(
    {
        "model_name": st.sampled_from(["a", "b", "a/b", "a-b", "3", "true", "é", "[x]?"]),
        "litellm_params": st.builds(
            lambda model, more: {"model": model, **more},
            MODELS,
            st.dictionaries(st.sampled_from(KEYS), ANYTHING),
        ),
    },
    optional={"model_info": ANYTHING},
)
SETTINGS = st.dictionaries(
    st.sampled_from(["fallbacks", "num_retries", "timeout", "model_group_alias", "default_fallbacks", "master_key"]),
    ANYTHING,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ROW, max_size=4), ANYTHING | SETTINGS, SETTINGS)
def test_any_configuration_becomes_rules_or_a_clear_refusal(rows: list, first: object, second: object) -> None:
    text = yaml.safe_dump({"model_list": rows, "router_settings": first, "litellm_settings": second})
    try:
        result = converted(text, prices=None)
    except NotAConfig:
        return
    assert not [error for error in errors_of(result) if "missing-price" not in error], text
