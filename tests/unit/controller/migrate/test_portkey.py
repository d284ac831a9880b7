"""What a Portkey config becomes: golden pairs, and what must hold of any config."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.migrate.notes import Converted, NotAConfig
from controller.migrate.portkey import convert
from controller.migrate.portkey_keys import LEFT, READ
from controller.prices.known import PriceList
from tests.unit.controller.migrate.conversions import PRICES, TODAY, errors_of, shown

CASES = sorted((Path(__file__).parent / "portkey").glob("*.json"))
SCHEMA = """
strategy provider api_key aws_secret_access_key aws_access_key_id aws_session_token aws_region cache retry weight
on_status_codes targets request_timeout custom_host forward_headers vertex_project_id vertex_region after_request_hooks
before_request_hooks input_guardrails output_guardrails vertex_service_account_json openai_project openai_organization
azure_auth_mode azure_entra_client_id azure_entra_client_secret azure_entra_tenant_id deployment_id api_version
azure_ad_token azure_model_name strict_open_ai_compliance virtual_key override_params name
"""
"""The keys of the gateway's own schema (src/middlewares/requestValidator/schema/config.ts), and three of the docs'."""


def converted(text: str, *, model: str | None = "gpt-5", prices: PriceList | None = PRICES) -> Converted:
    return convert("support.json", text, owner="platform", today=TODAY, prices=prices, model=model)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_golden(case: Path) -> None:
    assert shown(converted(case.read_text())) == case.with_suffix(".expected").read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_what_comes_out_passes_check_and_no_secret_is_copied_or_repeated(case: Path) -> None:
    result = converted(case.read_text())
    assert errors_of(result) == []
    assert "in-clear" in case.read_text()
    assert "in-clear" not in shown(result)


def test_every_key_of_the_gateways_schema_is_carried_over_or_has_its_words() -> None:
    assert [key for key in SCHEMA.split() if key not in READ | LEFT.keys()] == []
    for key in LEFT:
        notes = converted(json.dumps({"provider": "openai", "api_key": "k", key: "in-clear"})).notes
        assert [note.says for note in notes if note.key == key] == [LEFT[key]]


def test_a_key_says_the_same_in_snake_case_and_in_camel_case() -> None:
    said = {"strategy": {"mode": "fallback"}, "request_timeout": 1500, "targets": [{
        "provider": "azure-openai", "resource_name": "acme", "deployment_id": "d", "api_key": "k",
        "override_params": {"model": "gpt-5"},
    }]}  # fmt: skip
    camel = {"requestTimeout": "request_timeout", "resourceName": "resource_name", "deploymentId": "deployment_id",
             "apiKey": "api_key", "overrideParams": "override_params"}  # fmt: skip
    text = json.dumps(said)
    for theirs, ours in camel.items():
        text = text.replace(f'"{ours}"', f'"{theirs}"')
    assert text != json.dumps(said)
    assert converted(text).files == converted(json.dumps(said)).files
    assert '"1500ms"' in converted(text).files["use-cases/support/use-case.yaml"]


def test_a_target_without_a_model_needs_the_one_that_agents_ask_for() -> None:
    text = '{"provider": "anthropic", "api_key": "k"}'
    with pytest.raises(NotAConfig, match="name with --model what agents ask for"):
        converted(text, model=None)
    assert "aliases: [claude-haiku-4-5]" in converted(text, model="claude-haiku-4-5").files[
        "use-cases/support/use-case.yaml"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "whens"),
    [
        ({"metadata.a": "x*"}, [{"metadata": {"a": "x[*]"}}]),
        ({"$and": [{"metadata.a": {"$in": [1, 2]}}, {"params.stream": False}]},
         [{"metadata": {"a": "1"}, "stream": False}, {"metadata": {"a": "2"}, "stream": False}]),
        ({"$or": [{"metadata.a": "1"}, {"metadata.b": True}]}, [{"metadata": {"a": "1"}}, {"metadata": {"b": "true"}}]),
        ({"metadata.a": {"$ne": "x"}}, "compares by globs"),
        ({"params.model": "gpt-5"}, "rules ask for metadata"),
        ({"$or": [{"metadata.a": "1"}], "metadata.b": "2"}, "ignores what stands beside"),
        ({"$and": [{"metadata.a": "1"}, {"metadata.a": "2"}]}, "asks for one thing twice"),
        ({f"metadata.{name}": {"$in": [1, 2]} for name in "abcdef"}, "more than 32 rules"),
        ({"$or": "x"}, "expected a list of conditions"),
        ("x", "expected a mapping"),
    ],
)  # fmt: skip
def test_a_condition_becomes_rules_or_says_why_not(query: object, whens: object) -> None:
    strategy = {"mode": "conditional", "conditions": [{"query": query, "then": "a"}], "default": "a"}
    result = converted(json.dumps({"strategy": strategy, "targets": [{"name": "a", "provider": "openai"}]}))
    rules = yaml.safe_load(result.files["use-cases/support/use-case.yaml"]).get("rules", [])
    if isinstance(whens, str):
        assert rules == []
        assert any(whens in note.says and note.key.startswith("strategy.conditions[0]") for note in result.notes)
    else:
        assert [rule["when"] for rule in rules] == whens


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty-file"),
        ("{", "yaml-syntax"),
        ("[]", "no Portkey config"),
        ('{"a": 1}', "no Portkey config"),
        ("{}", "no Portkey config"),
        ('{"cache": {"mode": "simple"}}', "it does not say which provider is behind it"),
        ('{"provider": "cohere", "api_key": "k"}', "no such provider is known here"),
        ('{"provider": "openai", "custom_host": "https://u:p@host"}', "not a plain URL"),
        ('{"provider": "azure-openai", "api_key": "k"}', "needs resource_name"),
        ('{"provider": "bedrock"}', "needs aws_region"),
        ('{"provider": "vertex-ai", "vertex_region": "x"}', "needs vertex_project_id and vertex_region"),
        ('{"strategy": {"mode": "fallback"}, "targets": {}}', "expected a list of targets"),
        ('{"targets": ' * 40 + "1" + "}" * 40, "too-deep"),
    ],
)
def test_what_is_no_config_is_said_with_its_place(text: str, says: str) -> None:
    with pytest.raises(NotAConfig) as refused:
        converted(text)
    assert says in str(refused.value)
    assert "u:p" not in str(refused.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["openai", "@groq-x", "fallback", "é", "0.5", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["mode", "model", "query"]), inner),
    max_leaves=5,
)
LEAF = st.fixed_dictionaries(
    {"provider": st.sampled_from(["openai", "anthropic", "azure-openai", "groq", "@mistral-ai-1", "none"])},
    optional={key: ANYTHING for key in sorted(READ - {"provider", "targets"})},
)
CONFIG = st.recursive(
    LEAF,
    lambda inner: st.fixed_dictionaries(
        {"targets": st.lists(inner | ANYTHING, max_size=3)},
        optional={
            "strategy": st.fixed_dictionaries(
                {"mode": st.sampled_from(["single", "fallback", "loadbalance", "conditional", "odd"])},
                optional={"conditions": ANYTHING, "default": ANYTHING, "sticky": ANYTHING},
            ),
            "weight": ANYTHING, "name": ANYTHING, "retry": ANYTHING, "requestTimeout": ANYTHING,
        },
    ),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(CONFIG)
def test_any_config_becomes_rules_or_a_clear_refusal(config: object) -> None:
    text = json.dumps(config)
    try:
        result = converted(text, prices=None)
    except NotAConfig:
        return
    assert not [error for error in errors_of(result) if "missing-price" not in error], text


def test_of_two_targets_of_one_name_the_first_counts_and_one_without_a_name_is_said() -> None:
    targets = [
        {"name": "a", "provider": "openai", "override_params": {"model": "gpt-5"}},
        {"name": "a", "provider": "groq", "override_params": {"model": "m"}},
        {"provider": "groq", "override_params": {"model": "m"}},
    ]
    strategy = {"mode": "conditional", "conditions": [], "default": "a"}
    result = converted(json.dumps({"strategy": strategy, "targets": targets}))
    assert "primary: gpt-5" in result.files["use-cases/support/use-case.yaml"]
    assert [note.key for note in result.notes if "without a name of its own" in note.says] == [
        "targets[1]",
        "targets[2]",
    ]
