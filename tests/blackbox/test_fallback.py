"""A provider fails: before its first content another answers, after it the stream ends with an error and no end mark.

Seen by both official SDKs, whatever dialects the two providers speak.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import anthropic
import openai
import pytest

from schemas.bundle import Bundle, Retry, Timeouts
from schemas.record import CallRecord
from tests.blackbox.agents import Agent, AnthropicAgent, OpenAIAgent
from tests.blackbox.kits.targets import FreshTargets
from tests.fakes import bundles, wire
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator

SDKS: dict[str, Any] = {"openai": openai, "anthropic": anthropic}
QUESTION = "Is there a train?"
HOWS = pytest.mark.parametrize("how", ["plain", "streamed"])
PRIMARIES = {"to-openai": "o-1", "to-anthropic": "a-1"}
FALLBACK = "b-1"


def rules(first: str, second: str) -> Bundle:
    """Each use case goes to one dialect at the first provider, then to the other one at the second.

    No retries where a test counts calls, and little patience where it waits for a time-out.
    """
    quick = Timeouts(deadline=5.0, connect=1.0, first_token=0.3, stream_idle=0.3)
    once = Retry(max_attempts=4, same_target=0)
    return bundles.bundle(
        {
            "o-side": bundles.provider("openai", first),
            "a-side": bundles.provider("anthropic", first),
            "o-spare": bundles.provider("openai", second),
            "a-spare": bundles.provider("anthropic", second),
        },
        {
            "o-model": bundles.model("o-side", name="o-1"),
            "a-model": bundles.model("a-side", name="a-1"),
            "o-backup": bundles.model("o-spare", name=FALLBACK),
            "a-backup": bundles.model("a-spare", name=FALLBACK),
        },
        {
            "to-openai": bundles.use_case("o-model", "a-backup", timeouts=quick, retry=once),
            "to-anthropic": bundles.use_case("a-model", "o-backup", timeouts=quick, retry=once),
            "patient-openai": bundles.use_case("o-model", "a-backup"),
            "patient-anthropic": bundles.use_case("a-model", "o-backup"),
        },
    )


@dataclass(frozen=True)
class Chain:
    """An agent, a use case, and its two providers."""

    agent: Agent
    use_case: str
    targets: list[tuple[str, str]]
    """Models and their providers. No other test's failures have fed their breakers."""
    primary: str
    """What the first provider calls its model."""
    sidecar: SidecarProcess
    first: SimulatorProcess
    second: SimulatorProcess

    @property
    def error(self) -> Any:
        """What the SDK raises for an error inside a stream, at the least."""
        return SDKS[self.agent.dialect].APIError

    def ask(self, how: str) -> Any:
        method = self.agent.plain if how == "plain" else self.agent.streamed
        return method(self.use_case, QUESTION)

    def stream_bytes(self) -> tuple[str, bytes]:
        """The request id and everything that came, as bytes."""
        body = self.agent.body(self.use_case, QUESTION, stream=True)
        with wire.exchange("POST", self.sidecar.url + self.agent.path, body) as answer:
            assert answer.status == 200
            return answer.headers["x-pointsman-request-id"], answer.read()


@pytest.fixture(scope="module")
def first(start_simulator: StartSimulator) -> SimulatorProcess:
    return start_simulator("alpha")


@pytest.fixture(scope="module")
def second(start_simulator: StartSimulator) -> SimulatorProcess:
    return start_simulator("beta")


@pytest.fixture(scope="module")
def targets(first: SimulatorProcess, second: SimulatorProcess) -> FreshTargets:
    return FreshTargets(rules(first.url, second.url))


@pytest.fixture(scope="module")
def shared(start_sidecar: StartSidecar, targets: FreshTargets) -> SidecarProcess:
    return start_sidecar(targets.rules)


@pytest.fixture(autouse=True)
def without_faults(first: SimulatorProcess, second: SimulatorProcess) -> None:
    """Whatever the test before left behind."""
    for simulator in (first, second):
        simulator.clear()


@pytest.fixture(scope="module", params=[OpenAIAgent, AnthropicAgent], ids=["openai", "anthropic"])
def agent(request: pytest.FixtureRequest, shared: SidecarProcess) -> Iterator[Agent]:
    agent = request.param(shared.url)
    with agent.client:
        yield agent


@pytest.fixture(params=["to-openai", "to-anthropic"])
def chain(
    request: pytest.FixtureRequest,
    agent: Agent,
    targets: FreshTargets,
    shared: SidecarProcess,
    first: SimulatorProcess,
    second: SimulatorProcess,
) -> Chain:
    use_case = targets.use_case(request.param)
    return Chain(agent, use_case, targets.chain(use_case), PRIMARIES[request.param], shared, first, second)


BEFORE_CONTENT = [
    pytest.param({"status": 500}, "server_fault", id="500"),
    pytest.param({"status": 529}, "overloaded", id="529"),
    pytest.param({"status": 429, "retry_after": 30}, "throttled", id="429"),
    pytest.param({"status": 401}, "provider_auth", id="401"),
    pytest.param({"status": 404}, "provider_model", id="404"),
    pytest.param({"close": True}, "connection_lost", id="closed"),
    pytest.param({"garbage": "html"}, "malformed_answer", id="html"),
    pytest.param({"garbage": "json"}, "malformed_answer", id="half-json"),
]


@HOWS
@pytest.mark.parametrize(("fault", "outcome"), BEFORE_CONTENT)
def test_before_content_the_fallback_answers(chain: Chain, how: str, fault: dict[str, Any], outcome: str) -> None:
    chain.first.fault(fault)
    answered_by_fallback(chain, how, outcome)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        pytest.param({"hang": True}, "first_token_timeout", id="hang"),
        pytest.param({"stall": 0}, "first_token_timeout", id="headers-then-silence"),
        pytest.param({"cut": 0}, "stream_cut", id="cut"),
        pytest.param({"cut": 0, "cut_how": "reset"}, "stream_cut", id="reset"),
        pytest.param({"cut": 0, "cut_how": "clean"}, "stream_cut", id="ended-too-early"),
        pytest.param({"error_event": 0}, "stream_failed", id="error-event"),
        pytest.param({"garbage": "sse"}, "malformed_answer", id="not-json"),
    ],
)
def test_a_stream_that_fails_before_content_is_the_fallbacks(chain: Chain, fault: dict[str, Any], outcome: str) -> None:
    chain.first.fault(fault)
    answered_by_fallback(chain, "streamed", outcome)


@pytest.mark.parametrize("how_it_is_cut", ["close", "reset", "clean"])
def test_half_of_a_plain_answer_is_the_fallbacks(chain: Chain, how_it_is_cut: str) -> None:
    chain.first.fault({"cut": 0, "cut_how": how_it_is_cut})
    answered_by_fallback(chain, "plain", "malformed_answer" if how_it_is_cut == "clean" else "connection_lost")


def answered_by_fallback(chain: Chain, how: str, outcome: str) -> CallRecord:
    heard = chain.ask(how)
    assert f"of {FALLBACK} at beta" in heard.text
    assert heard.headers["x-pointsman-attempts"] == "2"
    assert heard.headers["x-pointsman-reason"] == outcome
    assert [entry["model"] for entry in chain.first.entries()] == [chain.primary]
    record = chain.sidecar.record(heard.request_id)
    assert [attempt.outcome for attempt in record.attempts] == [outcome, "ok"]
    assert (record.outcome, record.provider) == ("ok", heard.headers["x-pointsman-provider"])
    assert record.cost_usd == heard.cost_usd
    return record


AFTER_CONTENT = [
    pytest.param({"cut": 3}, "stream_cut", id="cut"),
    pytest.param({"cut": 3, "cut_how": "reset"}, "stream_cut", id="reset"),
    pytest.param({"cut": 3, "cut_how": "clean"}, "stream_cut", id="ended-too-early"),
    pytest.param({"stall": 3}, "stream_stalled", id="stall"),
    pytest.param({"error_event": 3}, "stream_failed", id="error-event"),
]


@pytest.mark.parametrize(("fault", "outcome"), AFTER_CONTENT)
def test_after_content_the_sdk_raises(chain: Chain, fault: dict[str, Any], outcome: str) -> None:
    chain.first.fault(fault)
    with pytest.raises(chain.error):
        chain.ask("streamed")
    record = chain.sidecar.records()[-1]
    assert (record.outcome, record.status) == (outcome, 200)
    assert chain.second.entries() == []


@pytest.mark.parametrize(("fault", "outcome"), AFTER_CONTENT)
def test_after_content_no_byte_looks_like_an_end(chain: Chain, fault: dict[str, Any], outcome: str) -> None:
    chain.first.fault(fault)
    call_id, heard = chain.stream_bytes()
    assert b"Sim" in heard
    assert b"[DONE]" not in heard
    assert b"message_stop" not in heard
    assert b'"stop_reason":"' not in heard
    assert b'"finish_reason":"' not in heard
    events = heard.rstrip().split(b"\n\n")
    assert outcome.encode() in events[-1]
    assert b'"error"' in events[-1]
    record = chain.sidecar.record(call_id)
    assert record.outcome == outcome
    assert record.estimated
    assert record.usage is not None
    assert record.usage.output_tokens >= 3
    assert [attempt.outcome for attempt in record.attempts] == [outcome]


def test_a_whole_stream_has_its_end_mark(chain: Chain) -> None:
    """What the test before this one looks for does stand in a stream that ends well."""
    _, heard = chain.stream_bytes()
    assert chain.agent.end_mark in heard
    assert b'"error"' not in heard


def test_a_finish_reason_is_an_end_even_without_an_end_mark(chain: Chain) -> None:
    chain.first.fault({"no_done": True})
    heard = chain.ask("streamed")
    assert f"of {chain.primary} at alpha" in heard.text
    assert chain.sidecar.record(heard.request_id).outcome == "ok"


@HOWS
def test_a_failure_that_passes_is_retried_where_it_happened(chain: Chain, how: str) -> None:
    """The same target again keeps the provider's prompt cache."""
    chain.first.fault({"status": 503, "retry_after": 0}, times=1)
    patient = replace(chain, use_case=chain.use_case.replace("to-", "patient-"))
    heard = patient.ask(how)
    assert f"of {chain.primary} at alpha" in heard.text
    assert heard.headers["x-pointsman-attempts"] == "2"
    record = chain.sidecar.record(heard.request_id)
    assert [(attempt.reason, attempt.outcome) for attempt in record.attempts] == [
        ("primary", "overloaded"),
        ("retry", "ok"),
    ]


@pytest.mark.parametrize("sdk", [OpenAIAgent, AnthropicAgent])
def test_a_killed_provider_and_its_return(
    start_sidecar: StartSidecar, start_simulator: StartSimulator, second: SimulatorProcess, sdk: Any
) -> None:
    mortal = start_simulator("gamma")
    sidecar = start_sidecar(rules(mortal.url, second.url))
    agent = sdk(sidecar.url)
    with agent.client:
        assert "at gamma" in agent.plain("to-openai", QUESTION).text
        mortal.kill()
        for method in (agent.plain, agent.streamed):
            heard = method("to-openai", QUESTION)
            assert f"of {FALLBACK} at beta" in heard.text
            assert heard.headers["x-pointsman-reason"] in ("unreachable", "connection_lost")
        start_simulator("gamma", port=mortal.port)
        assert "at gamma" in agent.plain("to-openai", QUESTION).text


def test_a_provider_that_keeps_failing_rests(
    start_sidecar: StartSidecar, first: SimulatorProcess, second: SimulatorProcess
) -> None:
    first.fault({"status": 500})
    agent = OpenAIAgent(start_sidecar(rules(first.url, second.url)).url)
    with agent.client:
        reasons = [agent.plain("to-openai", QUESTION).headers["x-pointsman-reason"] for _ in range(6)]
    assert reasons == ["server_fault"] * 5 + ["breaker_open"]
    assert len(first.entries()) == 5


def test_nobody_left_is_told_in_full(chain: Chain) -> None:
    chain.first.fault({"status": 500})
    chain.second.fault({"status": 500})
    sdk = SDKS[chain.agent.dialect]
    with pytest.raises(sdk.InternalServerError) as caught:
        chain.ask("streamed")
    for model, provider in chain.targets:
        assert f"{model}@{provider}" in caught.value.message
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(chain.first.entries()) == len(chain.second.entries()) == 1
