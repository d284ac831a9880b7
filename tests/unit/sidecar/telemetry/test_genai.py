"""A record in the conventions' words."""

import pytest
from opentelemetry.semconv._incubating.attributes.gen_ai_attributes import (
    GenAiOperationNameValues,
    GenAiProviderNameValues,
)

from schemas.bundle import AwsIdentity, EntraIdentity, GoogleIdentity, Provider
from schemas.record import AttemptRecord, CallFacts, Usage
from sidecar.telemetry.genai import (
    HOSTS,
    attempt_attributes,
    call_attributes,
    nanoseconds,
    operation_of,
    provider_name,
    server_of,
)
from tests.fakes import core_bundles as bundles
from tests.fakes.records import record


@pytest.mark.parametrize(
    ("provider", "word"),
    [
        (bundles.provider("https://api.openai.com/v1"), "openai"),
        (bundles.provider("https://api.anthropic.com", "anthropic"), "anthropic"),
        (bundles.provider("https://generativelanguage.googleapis.com", "gemini"), "gcp.gemini"),
        (bundles.provider("https://x.example", "gemini", identity=GoogleIdentity()), "gcp.vertex_ai"),
        (bundles.provider("https://x.example", "anthropic", layout="vertex"), "gcp.vertex_ai"),
        (bundles.provider("https://x.example", "bedrock"), "aws.bedrock"),
        (bundles.provider("https://x.example", "anthropic", identity=AwsIdentity(region="eu-west-1")), "aws.bedrock"),
        (bundles.provider("https://x.example/v1", identity=EntraIdentity()), "azure.ai.openai"),
        (bundles.provider("https://mine.openai.azure.com/openai/v1"), "azure.ai.openai"),
        (bundles.provider("http://127.0.0.1:8000/v1"), "own"),
        (bundles.provider("https://api.openai.com.example/v1"), "own"),
    ],
)
def test_a_provider_has_the_conventions_word_where_there_is_one(provider: Provider, word: str) -> None:
    assert provider_name(provider, "own") == word


def test_every_word_of_ours_for_a_host_is_the_conventions_own() -> None:
    assert set(HOSTS.values()) <= {value.value for value in GenAiProviderNameValues}


@pytest.mark.parametrize(
    ("dialect", "operation", "word"),
    [
        ("openai", "", "chat"),
        ("anthropic", "", "chat"),
        ("gemini", "", "generate_content"),
        ("openai", "embeddings", "embeddings"),
    ],
)
def test_an_operation_has_the_conventions_word(dialect: str, operation: str, word: str) -> None:
    assert operation_of(record("a", dialect=dialect, operation=operation)) == word
    assert word in {value.value for value in GenAiOperationNameValues}


def test_a_server_has_the_port_of_its_scheme() -> None:
    assert server_of("https://api.openai.com/v1") == ("api.openai.com", 443)
    assert server_of("http://[::1]:8000/v1") == ("::1", 8000)


def test_tokens_are_the_providers_count_and_never_an_estimate() -> None:
    usage = Usage(10, 5, cache_read_tokens=4, reasoning_tokens=2)
    told = AttemptRecord("alpha", "one", "primary", "ok", 1.0, status=200, usage=usage)
    call = record("a", attempts=(told,), facts=CallFacts(max_output_tokens=99))
    found = attempt_attributes(call, told, None)
    assert {name: value for name, value in found.items() if "tokens" in name} == {
        "gen_ai.request.max_tokens": 99,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    guessed = AttemptRecord("alpha", "one", "primary", "stream_cut", 1.0, usage=usage, estimated=True)
    found = attempt_attributes(call, guessed, None)
    assert not any(name.startswith("gen_ai.usage") for name in found)
    assert found["error.type"] == "stream_cut"


def test_an_answer_below_the_bar_is_no_error_of_its_provider() -> None:
    below = AttemptRecord("alpha", "one", "primary", "below_bar", 1.0)
    assert "error.type" not in attempt_attributes(record("a", attempts=(below,)), below, None)


def test_an_unknown_cost_is_left_out_and_not_zero() -> None:
    assert "pointsman.cost_usd" not in call_attributes(record("a", cost_usd=None))
    assert call_attributes(record("a"))["pointsman.cost_usd"] == "0.1"


def test_a_call_began_when_its_record_says() -> None:
    assert nanoseconds("1970-01-01T00:00:01.002Z") == 1_002_000_000
