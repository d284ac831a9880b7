"""What stands around an answer: our headers, model lists, header styles of the SDKs, callers' keys, pins, explain."""

import time
from typing import Any

import anthropic
import openai
import pytest

from tests.blackbox.agents import Agent, AnthropicAgent, OpenAIAgent
from tests.blackbox.conftest import Crossing
from tests.blackbox.kits.targets import FreshTargets
from tests.fakes import bundles, wire
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess

QUESTION = "Which platform?"


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_every_answer_says_where_it_came_from(crossing: Crossing, how: str) -> None:
    method = crossing.agent.plain if how == "plain" else crossing.agent.streamed
    headers = method(crossing.use_case, QUESTION).headers
    model, provider = crossing.target
    assert headers["x-pointsman-use-case"] == crossing.use_case
    assert headers["x-pointsman-model"] == model
    assert headers["x-pointsman-provider"] == provider
    assert headers["x-pointsman-attempts"] == "1"
    assert headers["x-pointsman-reason"] == "primary"
    assert headers["x-pointsman-bundle"] == crossing.sidecar.status().active.digest
    assert ("x-pointsman-cost-usd" in headers) is (how == "plain")


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_a_call_can_be_looked_up_afterwards(crossing: Crossing, how: str) -> None:
    method = crossing.agent.plain if how == "plain" else crossing.agent.streamed
    heard = method(crossing.use_case, QUESTION)
    found = wire.get(f"{crossing.sidecar.url}/pointsman/calls/{heard.request_id}")
    assert found.status == 200
    assert found.json["id"] == heard.request_id
    assert found.json["usage"]["input_tokens"] == heard.usage.input_tokens
    assert found.json["stream"] is True if how == "streamed" else "stream" not in found.json
    assert QUESTION.encode() not in found.body


def test_the_use_case_may_come_as_a_header_or_an_alias(crossing: Crossing) -> None:
    by_header = crossing.agent.plain("any-model", QUESTION, extra_headers={"x-pointsman-use-case": crossing.use_case})
    assert by_header.headers["x-pointsman-use-case"] == crossing.use_case
    alias = {"openai": "gpt-4o", "anthropic": "claude-sonnet-of-some-day"}[crossing.side]
    assert crossing.agent.plain(alias, QUESTION).headers["x-pointsman-use-case"] == f"to-{crossing.side}"


def test_what_an_agent_calls_itself_is_booked(crossing: Crossing) -> None:
    heard = crossing.agent.plain(crossing.use_case, QUESTION, extra_headers={"x-pointsman-agent": "night-shift"})
    assert crossing.record(heard.request_id).agent == "night-shift"


def test_a_knob_that_the_target_lacks_is_named(agents: dict[str, Agent]) -> None:
    """A seed is not known to Anthropic, `top_k` not to OpenAI."""
    seeded = agents["openai"].plain("to-anthropic", QUESTION, seed=7)
    assert "seed" in seeded.headers["x-pointsman-dropped"]
    of_few = agents["anthropic"].plain("to-openai", QUESTION, extra_body={"top_k": 3})
    assert of_few.headers["x-pointsman-dropped"] == "top_k"
    assert "x-pointsman-dropped" not in agents["openai"].plain("to-openai", QUESTION, seed=7).headers


def test_both_sdks_list_the_use_cases_and_look_one_up(
    crossing_sidecar: SidecarProcess, crossing_targets: FreshTargets
) -> None:
    url, use_cases = crossing_sidecar.url, sorted(crossing_targets.rules.use_cases)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="-") as openai_client:
        assert [model.id for model in openai_client.models.list()] == use_cases
        assert [openai_client.models.retrieve(name).id for name in ("to-openai", "gpt-4o")] == ["to-openai", "gpt-4o"]
        with pytest.raises(openai.NotFoundError, match='did you mean "to-openai"'):
            openai_client.models.retrieve("to-opnai")
    with anthropic.Anthropic(base_url=url, api_key="-") as anthropic_client:
        listed = list(anthropic_client.models.list())
        assert anthropic_client.models.retrieve("claude-anything").id == "claude-anything"
        with pytest.raises(anthropic.NotFoundError, match="no model of yours"):
            anthropic_client.models.retrieve("gpt-5")
    assert [model.id for model in listed] == use_cases
    assert abs(listed[0].created_at.timestamp() - time.time()) < 3600


# Callers with keys, and pins

SUPPORT_KEY, EVAL_KEY = "pm-support-0123456789", "pm-eval-0123456789"


@pytest.fixture(scope="module")
def guarded(start_sidecar: StartSidecar, provider: SimulatorProcess) -> SidecarProcess:
    """The same two models; only callers with a key, and only one of them may pin."""
    rules = bundles.bundle(
        {
            "openai-side": bundles.provider("openai", provider.url, key_env="PROVIDER_KEY"),
            "anthropic-side": bundles.provider("anthropic", provider.url, key_env="PROVIDER_KEY"),
        },
        {
            "o-model": bundles.model("openai-side", name="o-1"),
            "a-model": bundles.model("anthropic-side", name="a-1"),
        },
        {"support": bundles.use_case("o-model", "a-model"), "coding": bundles.use_case("a-model")},
        callers=(
            bundles.caller("support-bot", SUPPORT_KEY, use_cases=("support",), default_use_case="support"),
            bundles.caller("eval-runner", EVAL_KEY, pin=True),
        ),
    )
    return start_sidecar(rules, environment={"PROVIDER_KEY": "sk-provider-0123456789"})


@pytest.fixture(params=[OpenAIAgent, AnthropicAgent])
def sdk(request: pytest.FixtureRequest) -> Any:
    return request.param


ERRORS = {OpenAIAgent: openai, AnthropicAgent: anthropic}
"""Each SDK's module: both name their exceptions alike."""


def test_a_caller_is_known_by_its_key(guarded: SidecarProcess, sdk: Any) -> None:
    agent = sdk(guarded.url, SUPPORT_KEY)
    with agent.client:
        heard = agent.plain("any-model", QUESTION)
        assert heard.headers["x-pointsman-use-case"] == "support"
        assert guarded.record(heard.request_id).caller == "support-bot"
        with pytest.raises(ERRORS[sdk].PermissionDeniedError, match='may not use "coding"'):
            agent.plain("coding", QUESTION)
        assert [model.id for model in agent.client.models.list()] == ["support"]
        assert agent.client.models.retrieve("support").id == "support"
        with pytest.raises(ERRORS[sdk].NotFoundError, match='named "coding"'):
            agent.client.models.retrieve("coding")


def test_a_wrong_key_is_refused_and_never_repeated_back(guarded: SidecarProcess, sdk: Any) -> None:
    agent = sdk(guarded.url, "pm-nobody-0123456789")
    with agent.client, pytest.raises(ERRORS[sdk].AuthenticationError) as refused:
        agent.plain("support", QUESTION)
    assert "callers in pointsman.yaml" in str(refused.value)
    assert "pm-nobody" not in str(refused.value) + guarded.stderr()


def test_only_a_caller_with_the_grant_may_pin(guarded: SidecarProcess, sdk: Any) -> None:
    pinned = {"x-pointsman-target": "a-model@anthropic-side"}
    granted, other = sdk(guarded.url, EVAL_KEY), sdk(guarded.url, SUPPORT_KEY)
    with granted.client, other.client:
        heard = granted.plain("support", QUESTION, extra_headers=pinned)
        assert heard.headers["x-pointsman-reason"] == "pinned"
        assert "of a-1 at alpha" in heard.text
        with pytest.raises(ERRORS[sdk].PermissionDeniedError, match="granted pin"):
            other.plain("support", QUESTION, extra_headers=pinned)
        with pytest.raises(ERRORS[sdk].NotFoundError, match=r"known: .*o-model"):
            granted.plain("support", QUESTION, extra_headers={"x-pointsman-target": "z-model"})


def test_a_pinned_call_has_no_fallback(guarded: SidecarProcess, provider: SimulatorProcess, sdk: Any) -> None:
    provider.clear()
    provider.fault({"status": 500}, model="o-1")
    agent = sdk(guarded.url, EVAL_KEY)
    with agent.client:
        with pytest.raises(ERRORS[sdk].InternalServerError):
            agent.plain("support", QUESTION, extra_headers={"x-pointsman-target": "o-model"})
        assert {entry["model"] for entry in provider.entries()} == {"o-1"}
    provider.clear()


def test_a_call_belongs_to_its_caller(guarded: SidecarProcess) -> None:
    agent = OpenAIAgent(guarded.url, SUPPORT_KEY)
    with agent.client:
        place = f"{guarded.url}/pointsman/calls/{agent.plain('support', QUESTION).request_id}"
    assert wire.get(place, {"x-api-key": SUPPORT_KEY}).status == 200
    assert wire.get(place, {"x-api-key": EVAL_KEY}).status == 404
    assert wire.get(place).status == 401


# Explain


def test_explain_answers_without_calling_anyone(crossing: Crossing) -> None:
    model, provider = crossing.target
    expected = {
        "use_case": crossing.use_case,
        "plan": [{"model": model, "provider": provider, "reason": "primary"}],
        "skipped": [],
    }
    body = crossing.agent.body(crossing.use_case, QUESTION, stream=True)
    by_body = crossing.sidecar.explain({"path": crossing.agent.path, "body": body})
    assert (by_body.status, by_body.json) == (200, expected)
    by_facts = crossing.sidecar.explain({"use_case": crossing.use_case, "facts": {"input_tokens": 1200, "tools": True}})
    assert (by_facts.status, by_facts.json) == (200, expected)
    assert crossing.simulator.entries() == []


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ({"use_case": "to-openia", "facts": {}}, 404, 'did you mean "to-openai"?'),
        ({"use_case": "to-openai", "facts": {"tool": True}}, 400, "tools"),
        ({"path": "/v2/messages", "body": {}}, 400, "/v1/messages"),
        ({"who": "knows"}, 400, "explain takes a JSON object"),
        ({"path": "/v1/messages", "body": None}, 400, "not a JSON object"),
        ({"use_case": "to-openai", "facts": {}, "\ud800": 1}, 400, "explain takes a JSON object"),
    ],
)
def test_explain_says_what_is_wrong_with_a_question(
    crossing_sidecar: SidecarProcess, question: dict[str, Any], status: int, words: str
) -> None:
    answer = crossing_sidecar.explain(question)
    assert answer.status == status
    assert words in answer.json["error"]["message"]
