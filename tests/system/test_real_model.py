"""A real model behind a sidecar: SmolLM2 in llama.cpp's own server, which speaks OpenAI's dialect its own way.

Never skipped. Where the model's packages are missing the tests fail and say what installs them.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Price, Timeouts
from schemas.record import Usage
from tests.blackbox.agents import Agent, AnthropicAgent, Heard, OpenAIAgent, ResponsesAgent
from tests.fakes import bundles, wire
from tests.fakes.processes import eventually
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.fakes.small_model import serving_small_model

PRICE = Price(since="2026-01-01", input=Decimal("0.10"), output=Decimal("0.40"), cache_read=Decimal("0.01"))
PATIENT = Timeouts(deadline=120.0, first_token=60.0, stream_idle=60.0)
SHORT = {
    "openai": {"max_completion_tokens": 24, "seed": 1},
    "openai-responses": {"max_output_tokens": 24},
    "anthropic": {"max_tokens": 24},
}
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green", "blue"]}, "is_warm": {"type": "boolean"}},
    "required": ["colour", "is_warm"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its `base_url` as OpenAI's SDK takes it."""
    with serving_small_model(tmp_path_factory.mktemp("model")) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, model: str) -> SidecarProcess:
    rules = bundles.bundle(
        {
            "local": bundles.provider("openai", model.removesuffix("/v1")),
            "local-responses": bundles.provider("openai-responses", model),
        },
        {
            name: bundles.model(at, name="smollm2", price=PRICE, context_window=2048, max_output_tokens=1024)
            for name, at in (("smollm2", "local"), ("smollm2-responses", "local-responses"))
        },
        {
            "small-talk": bundles.use_case("smollm2", timeouts=PATIENT),
            "small-talk-responses": bundles.use_case("smollm2-responses", timeouts=PATIENT),
        },
    )
    return start_sidecar(rules)


@pytest.fixture(scope="module", params=[OpenAIAgent, AnthropicAgent], ids=["openai", "anthropic"])
def agent(request: pytest.FixtureRequest, sidecar: SidecarProcess) -> Iterator[Agent]:
    agent = request.param(sidecar.url)
    with agent.client:
        yield agent


def ask(agent: Agent, how: str, question: str, **more: Any) -> Heard:
    method = agent.plain if how == "plain" else agent.streamed
    return method("small-talk", question, extra_body={"temperature": 0, "cache_prompt": True}, **more)


def price_of(usage: Usage) -> Decimal:
    fresh = usage.input_tokens - usage.cache_read_tokens
    return (
        fresh * Decimal("0.10") + usage.cache_read_tokens * Decimal("0.01") + usage.output_tokens * Decimal("0.40")
    ) / 1_000_000


def test_it_answers_the_same_plain_and_streamed(agent: Agent) -> None:
    question = "Write one short sentence about railways."
    plain = ask(agent, "plain", question, **SHORT[agent.dialect])
    streamed = ask(agent, "streamed", question, **SHORT[agent.dialect])
    assert len(plain.text) > 10
    assert streamed.text == plain.text
    assert streamed.finish == plain.finish
    assert (streamed.usage.input_tokens, streamed.usage.output_tokens) == (
        plain.usage.input_tokens,
        plain.usage.output_tokens,
    )
    assert 0 < plain.usage.output_tokens <= 24


@pytest.mark.parametrize("kind", [OpenAIAgent, ResponsesAgent, AnthropicAgent])
def test_its_responses_api_answers_every_agent(sidecar: SidecarProcess, kind: Any) -> None:
    """Its own way too: its events have no index and no number."""
    agent = kind(sidecar.url)
    with agent.client:
        heard = [
            ask("small-talk-responses", "Say hello.", extra_body={"temperature": 0}, **SHORT[agent.dialect])
            for ask in (agent.plain, agent.streamed)
        ]
    assert heard[0].text == heard[1].text != ""
    for one in heard:
        assert one.usage.input_tokens > 5
        assert 0 < one.usage.output_tokens <= 24
        assert one.cost_usd == price_of(one.usage)
        assert sidecar.record(one.request_id).usage == one.usage


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_its_tokens_are_paid_as_it_counts_them(agent: Agent, sidecar: SidecarProcess, how: str) -> None:
    heard = ask(agent, how, "Say hello.", **SHORT[agent.dialect])
    assert heard.usage.input_tokens > 5
    assert heard.cost_usd == price_of(heard.usage)
    record = sidecar.record(heard.request_id)
    assert (record.outcome, record.usage, record.cost_usd) == ("ok", heard.usage, heard.cost_usd)
    assert not record.estimated


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_a_repeated_prompt_is_read_from_its_cache(agent: Agent, how: str) -> None:
    question = f"{agent.dialect} {how}: " + "The night train leaves from platform nine. " * 20 + "Which platform?"
    ask(agent, "plain", question, **SHORT[agent.dialect])
    again = ask(agent, how, question, **SHORT[agent.dialect])
    assert 100 < again.usage.cache_read_tokens < again.usage.input_tokens
    assert again.cost_usd == price_of(again.usage)


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_a_schema_is_kept(agent: Agent, how: str) -> None:
    """A schema binds even so small a model: llama.cpp samples by a grammar made from it."""
    wish = {
        "openai": {"response_format": {"type": "json_schema", "json_schema": {"name": "paint", "schema": SCHEMA}}},
        "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    }[agent.dialect]
    answer = json.loads(ask(agent, how, "Which colour is the sky?", **wish).text)
    assert answer["colour"] in ("red", "green", "blue")
    assert isinstance(answer["is_warm"], bool)


def test_a_caller_that_leaves_frees_its_place(agent: Agent, sidecar: SidecarProcess, model: str) -> None:
    def busy() -> int:
        slots = wire.get(f"{model.removesuffix('/v1')}/slots").json
        return sum(slot["is_processing"] for slot in slots)

    eventually(lambda: busy() == 0)
    call_id, text = agent.leave_early("small-talk", "Tell me a very long story about a railway, in many chapters.")
    assert text
    eventually(lambda: busy() == 0, within_seconds=3)
    record = sidecar.record(call_id)
    assert record.outcome == "client_closed"
    assert record.usage is not None
    assert 0 < record.usage.output_tokens < 200


@pytest.mark.parametrize("kind", [OpenAIAgent, ResponsesAgent, AnthropicAgent])
def test_it_goes_on_where_another_provider_broke_off(
    start_sidecar: StartSidecar, start_simulator: StartSimulator, model: str, kind: Any
) -> None:
    """llama.cpp continues an assistant's unfinished turn, so the caller reads one answer."""
    begun = "The three primary colours of light are red, green and"
    simulator = start_simulator("breaks", options=["--chunks", "2"])
    simulator.fault({"text": begun * 2, "cut": 1})
    rules = bundles.bundle(
        {
            "breaks": bundles.provider("openai", simulator.url),
            "local": bundles.provider("openai", model.removesuffix("/v1")),
        },
        {
            "first": bundles.model("breaks", name="first", price=PRICE),
            "smollm2": bundles.model(
                "local", name="smollm2", price=PRICE, context_window=2048, max_output_tokens=1024,
                capabilities=("prefill",),
            ),
        },
        {"talk": bundles.use_case("first", "smollm2", resume=True, timeouts=PATIENT)},
    )  # fmt: skip
    sidecar = start_sidecar(rules)
    agent = kind(sidecar.url)
    with agent.client:
        heard = agent.streamed("talk", "Name the primary colours of light.", **SHORT[agent.dialect])
    assert heard.text.startswith(begun[:40])
    assert len(heard.text) > len(begun)
    assert heard.text.count(begun[:20]) == 1, "gone on with, and not begun anew"
    assert heard.finish in ("done", "length")
    record = sidecar.record(heard.request_id)
    assert [(attempt.model, attempt.outcome) for attempt in record.attempts] == [
        ("first", "stream_cut"),
        ("smollm2", "ok"),
    ]
    assert record.usage is not None
    assert record.usage.input_tokens > 20, "the broken answer is a part of the next one's input"
