"""Google's SDK through a sidecar process to providers of other dialects, other SDKs to a provider that speaks Gemini's,
and Google's SDK to that one, passed through.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from google.genai import errors as google_errors

from schemas.bundle import Price
from schemas.record import Usage
from tests.blackbox.agents import Agent, AnthropicAgent, OpenAIAgent
from tests.blackbox.conftest import PROVIDER_KEY, Crossing
from tests.blackbox.gemini_agent import GeminiAgent
from tests.blackbox.kits.targets import FreshTargets
from tests.blackbox.test_crossings import ask, by_hand
from tests.fakes import bundles, gemini, wire
from tests.fakes.gemini import FakeGemini, serving_gemini
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess

QUESTION = "Where is the station?"
TOOL_QUESTION = "Use the weather tool."
"""The simulator calls the tools that a question names."""
KEY = "AIzaSy-provider-0123456789"
CALLER_KEY = "pm-caller-0123456789"
PRICE = Price(since="2026-01-01", input=Decimal("0.30"), output=Decimal("2.50"), cache_read=Decimal("0.03"))
HOWS = pytest.mark.parametrize("how", ["plain", "streamed"])


# Google's SDK to the simulator's OpenAI and Anthropic sides


@pytest.fixture(scope="module")
def google(crossing_sidecar: SidecarProcess) -> Iterator[GeminiAgent]:
    agent = GeminiAgent(crossing_sidecar.url)
    yield agent
    agent.client.close()


@pytest.fixture
def agent(google: GeminiAgent) -> GeminiAgent:
    """What `crossing` asks with, in this file."""
    return google


@HOWS
def test_text(crossing: Crossing, how: str) -> None:
    heard = ask(crossing, how, QUESTION, "text")
    name = {"openai": "o-1", "anthropic": "a-1"}[crossing.side]
    assert (heard.text, heard.finish) == (f'Simulated answer of {name} at alpha to: "{QUESTION}"', "done")


@HOWS
def test_a_tool_is_called_and_its_result_is_read(crossing: Crossing, how: str) -> None:
    question = "What does the weather tool say?"
    asked = ask(crossing, how, question, "tool")
    (call,) = asked.calls
    assert (asked.finish, call.name, set(call.arguments)) == ("tools", "weather", {"city", "days"})
    told = crossing.agent.answer_tools(crossing.use_case, question, asked, "rain at noon", stream=how == "streamed")
    assert told.finish == "done"
    assert told.text.endswith("The tool says: rain at noon")
    # What stands on the call for Gemini's sake came back from the SDK as it went out.
    assert "contents.parts.thoughtSignature" not in told.headers.get("x-pointsman-dropped", "")


@HOWS
def test_structured_output_parses(crossing: Crossing, how: str) -> None:
    assert set(json.loads(ask(crossing, how, QUESTION, "schema").text)) == {"city", "days"}


@HOWS
def test_an_image_arrives(crossing: Crossing, how: str) -> None:
    assert "with 1 image:" in ask(crossing, how, QUESTION, "image").text


@HOWS
def test_reasoning_is_heard_and_counted(crossing: Crossing, how: str) -> None:
    heard = ask(crossing, how, QUESTION, "reasoning")
    assert heard.reasoning.startswith("Simulated reasoning")
    assert QUESTION in heard.text
    assert 0 < heard.usage.reasoning_tokens < heard.usage.output_tokens


@pytest.mark.parametrize("wish", ["text", "tool", "schema", "image", "reasoning"])
def test_money_is_the_same_plain_and_streamed_and_by_hand(crossing: Crossing, wish: str) -> None:
    question = "Use the weather tool."
    for how in ("plain", "streamed"):
        heard, billed = ask(crossing, how, question, wish), crossing.billed()
        record = crossing.record(heard.request_id)
        assert heard.usage == billed == record.usage
        assert record.cost_usd == by_hand(crossing.side, billed)
        assert heard.cost_usd is None if how == "streamed" else Decimal(str(heard.cost_usd)) == record.cost_usd


def test_a_caller_that_leaves_is_booked_so(crossing: Crossing) -> None:
    crossing.simulator.fault({"stall": 2})
    call_id, text = crossing.agent.leave_early(crossing.use_case, QUESTION)
    assert text.startswith("Sim")
    assert crossing.record(call_id).outcome == "client_closed"


@HOWS
@pytest.mark.parametrize(
    ("fault", "status", "word", "code"),
    [
        ({"status": 400, "message": "odd"}, 400, "INVALID_ARGUMENT", "rejected"),
        ({"status": 401}, 502, "INTERNAL", "provider_auth"),
        ({"status": 429, "retry_after": 7}, 503, "UNAVAILABLE", "throttled"),
    ],
)
def test_an_error_is_said_in_googles_shape(
    crossing: Crossing, how: str, fault: dict[str, Any], status: int, word: str, code: str
) -> None:
    crossing.simulator.fault(fault)
    with pytest.raises(google_errors.APIError) as refused:
        ask(crossing, how, QUESTION, "text")
    assert (refused.value.code, refused.value.status) == (status, word)
    details: Any = refused.value.details["error"]["details"]
    assert details[0]["reason"] == code
    if "retry_after" in fault:
        assert details[-1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}


def test_a_stream_that_breaks_raises_in_the_sdk(crossing: Crossing) -> None:
    crossing.simulator.fault({"cut": 2})
    with pytest.raises(google_errors.APIError) as broken:
        ask(crossing, "streamed", QUESTION, "text")
    assert broken.value.details["error"]["details"][0]["reason"] == "stream_cut"


def test_a_stream_carries_its_cost_in_the_last_usage_object(crossing: Crossing) -> None:
    raw = _events(crossing.sidecar, crossing.use_case, crossing.agent.body("", QUESTION, stream=True))
    usage = raw[-1]["usageMetadata"]
    assert Decimal(str(usage["cost_usd"])) == by_hand(crossing.side, crossing.billed())
    assert raw[-1]["candidates"][0]["finishReason"] == "STOP"


# The edge


@HOWS
def test_explain_and_the_list_of_models_speak_gemini(
    crossing: Crossing, crossing_targets: FreshTargets, how: str
) -> None:
    body = crossing.agent.body(crossing.use_case, QUESTION, stream=False)
    method = "generateContent" if how == "plain" else "streamGenerateContent?alt=sse"
    path = f"/v1beta/models/{crossing.use_case}:{method}"
    explained = crossing.sidecar.explain({"path": path, "body": body})
    assert (explained.status, json.loads(explained.body)["use_case"]) == (200, crossing.use_case)
    client = crossing.agent.client  # type: ignore[attr-defined]
    assert {model.name for model in client.models.list()} == {
        f"models/{name}" for name in crossing_targets.rules.use_cases
    }
    assert client.models.get(model="to-openai").name == "models/to-openai"
    with pytest.raises(google_errors.ClientError) as unknown:
        client.models.get(model="nowhere")
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1beta/models/nowhere:generateContent", 404, "unknown_use_case"),
        ("/v1beta/models/to-openai:generateContent?alt=sse", 400, "malformed_request"),
        ("/v1beta/models/to-openai:predict", 404, "unknown_path"),
        ("/v1/models/nowhere:generateContent", 404, "unknown_use_case"),
    ],
)
def test_refusals_of_the_edge(crossing_sidecar: SidecarProcess, path: str, status: int, code: str) -> None:
    body = {"contents": [{"parts": [{"text": QUESTION}]}]}
    reply = wire.post(crossing_sidecar.url + path, body)
    said = json.loads(reply.body)["error"]
    assert (reply.status, said["code"], said["details"][0]["reason"]) == (status, status, code)


# Any SDK to a provider that speaks Gemini's dialect


@dataclass(frozen=True)
class Through:
    agent: Agent
    fake: FakeGemini
    sidecar: SidecarProcess
    targets: FreshTargets
    use_case: str
    """Its model is Gemini's, and nobody has asked it yet."""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeGemini]:
    with serving_gemini() as served:
        yield served


@pytest.fixture(scope="module")
def guarded_targets(fake: FakeGemini, provider: SimulatorProcess) -> FreshTargets:
    rules = bundles.bundle(
        {
            "google": bundles.provider("gemini", fake.url, key_env="GOOGLE_KEY"),
            "openai-side": bundles.provider("openai", provider.url, key_env="PROVIDER_KEY"),
            "anthropic-side": bundles.provider("anthropic", provider.url, key_env="PROVIDER_KEY"),
        },
        {
            "g-model": bundles.model("google", name="g-1", price=PRICE, vendor="google"),
            "o-model": bundles.model("openai-side", name="o-1"),
            "a-model": bundles.model("anthropic-side", name="a-1"),
        },
        {
            "to-gemini": bundles.use_case("g-model", aliases=("gemini-*",)),
            "then-openai": bundles.use_case("g-model", "o-model"),
            "then-anthropic": bundles.use_case("g-model", "a-model"),
            "first-openai": bundles.use_case("o-model", "g-model"),
            "first-anthropic": bundles.use_case("a-model", "g-model"),
        },
        callers=[bundles.caller("bot", CALLER_KEY)],
    )
    return FreshTargets(rules)


@pytest.fixture(scope="module")
def guarded(start_sidecar: StartSidecar, guarded_targets: FreshTargets) -> SidecarProcess:
    return start_sidecar(guarded_targets.rules, environment={"GOOGLE_KEY": KEY, "PROVIDER_KEY": PROVIDER_KEY})


@pytest.fixture(scope="module")
def all_agents(guarded: SidecarProcess) -> Iterator[dict[str, Any]]:
    agents = {kind.dialect: kind(guarded.url, CALLER_KEY) for kind in (OpenAIAgent, AnthropicAgent, GeminiAgent)}
    yield agents
    for agent in agents.values():
        agent.client.close()


@pytest.fixture(params=["openai", "anthropic", "gemini"])
def through(
    request: pytest.FixtureRequest,
    all_agents: dict[str, Any],
    fake: FakeGemini,
    provider: SimulatorProcess,
    guarded_targets: FreshTargets,
    guarded: SidecarProcess,
) -> Through:
    fake.requests.clear()
    provider.clear()
    use_case = guarded_targets.use_case("to-gemini")
    return Through(all_agents[request.param], fake, guarded, guarded_targets, use_case)


def heard_of(through: Through, how: str, wish: str = "text") -> Any:
    method = through.agent.plain if how == "plain" else through.agent.streamed
    return method(through.use_case, QUESTION, wish)


@HOWS
def test_text_from_gemini(through: Through, how: str) -> None:
    heard = heard_of(through, how)
    assert (heard.text, heard.finish) == (f'g-1 heard "{QUESTION}" and saw 0', "done")


@HOWS
def test_parallel_calls_of_gemini_and_their_results(through: Through, how: str) -> None:
    asked = heard_of(through, how, "tool")
    assert asked.finish == "tools"
    assert [(call.name, call.arguments) for call in asked.calls] == [
        ("weather", {"city": "Oslo", "days": 1}),
        ("weather", {"city": "Rome", "days": 1}),
    ]
    told = through.agent.answer_tools(through.use_case, QUESTION, asked, "rain", stream=how == "streamed")
    assert told.text == "The tools say weather: rain, weather: rain"
    model = through.fake.requests[-1]["body"]["contents"][1]
    # Passed through, Gemini gets its own signature back; a history of another dialect has none.
    own = gemini.SIGNATURE if through.agent.dialect == "gemini" else "skip_thought_signature_validator"
    assert [part.get("thoughtSignature") for part in model["parts"] if "functionCall" in part] == [own, None]


@HOWS
def test_structured_output_and_images_and_thoughts_of_gemini(through: Through, how: str) -> None:
    assert json.loads(heard_of(through, how, "schema").text) == {"city": "Oslo", "days": 2}
    assert heard_of(through, how, "image").text.endswith("saw 1")
    thought = heard_of(through, how, "reasoning")
    assert thought.reasoning == "Let me think."
    assert thought.usage.reasoning_tokens == gemini.THOUGHT_TOKENS


BUSY = (400, {"error": {"code": 400, "message": "API key expired.", "status": "INVALID_ARGUMENT"}})
"""A dead key sends a call to the next target at once, and rests nobody."""


@HOWS
@pytest.mark.parametrize("kind", ["then-openai", "then-anthropic"])
def test_a_conversation_that_gemini_began_goes_on_elsewhere(through: Through, how: str, kind: str) -> None:
    use_case = through.targets.use_case(kind)
    method = through.agent.plain if how == "plain" else through.agent.streamed
    (first, _), (second, _) = through.targets.chain(use_case)
    asked = method(use_case, QUESTION, "tool")
    assert asked.headers["x-pointsman-model"] == first
    through.fake.refusals.append(BUSY)
    told = through.agent.answer_tools(use_case, QUESTION, asked, "rain", stream=how == "streamed")
    assert told.headers["x-pointsman-model"] == second
    assert told.headers["x-pointsman-attempts"] == "2"
    assert "The tool says: rain" in told.text


@HOWS
@pytest.mark.parametrize("kind", ["first-openai", "first-anthropic"])
def test_a_conversation_that_began_elsewhere_goes_on_at_gemini(
    through: Through, provider: SimulatorProcess, how: str, kind: str
) -> None:
    use_case = through.targets.use_case(kind)
    method = through.agent.plain if how == "plain" else through.agent.streamed
    (first, _), (second, _) = through.targets.chain(use_case)
    asked = method(use_case, TOOL_QUESTION, "tool")
    assert asked.headers["x-pointsman-model"] == first
    provider.fault({"status": 401})
    told = through.agent.answer_tools(use_case, TOOL_QUESTION, asked, "rain", stream=how == "streamed")
    assert told.headers["x-pointsman-model"] == second
    assert told.text == "The tools say weather: rain"
    # Gemini 3 refuses a call of another model's that is not signed with this word.
    turn = through.fake.requests[-1]["body"]["contents"][1]["parts"]
    assert [part["thoughtSignature"] for part in turn if "functionCall" in part] == ["skip_thought_signature_validator"]


@pytest.mark.parametrize("wish", ["text", "reasoning"])
def test_money_at_gemini_is_the_same_plain_and_streamed(through: Through, wish: str) -> None:
    thoughts = gemini.THOUGHT_TOKENS if wish == "reasoning" else 0
    usage = Usage(gemini.PROMPT_TOKENS, gemini.ANSWER_TOKENS + thoughts, gemini.CACHED_TOKENS, 0, thoughts)
    fresh = gemini.PROMPT_TOKENS - gemini.CACHED_TOKENS
    cost = (
        fresh * Decimal("0.30") + gemini.CACHED_TOKENS * Decimal("0.03") + usage.output_tokens * Decimal("2.50")
    ) / 10**6
    for how in ("plain", "streamed"):
        heard = heard_of(through, how, wish)
        record = through.sidecar.record(heard.request_id)
        assert (heard.usage, record.usage, record.cost_usd) == (usage, usage, cost)
        if heard.cost_usd is not None:
            assert Decimal(str(heard.cost_usd)) == cost


def test_a_stream_that_passes_through_carries_its_cost(guarded: SidecarProcess, fake: FakeGemini) -> None:
    raw = _events(guarded, "gemini-flash", {"contents": [{"parts": [{"text": QUESTION}]}]}, key=CALLER_KEY)
    assert "cost_usd" not in raw[0]["usageMetadata"]
    assert raw[-1]["usageMetadata"]["cost_usd"] > 0


@HOWS
def test_the_provider_gets_its_own_key_in_a_header_and_none_of_the_agents(through: Through, how: str) -> None:
    heard_of(through, how)
    (request,) = through.fake.requests
    assert request["headers"]["x-goog-api-key"] == KEY
    assert CALLER_KEY not in json.dumps(request)
    method = "generateContent" if how == "plain" else "streamGenerateContent?alt=sse"
    assert request["path"] == f"/v1beta/models/g-1:{method}"


def test_a_key_in_the_query_is_taken_and_neither_forwarded_nor_logged(
    guarded: SidecarProcess, fake: FakeGemini
) -> None:
    fake.requests.clear()
    url = f"{guarded.url}/v1beta/models/to-gemini:generateContent"
    body = {"contents": [{"parts": [{"text": QUESTION}]}]}
    assert wire.post(f"{url}?key={CALLER_KEY}", body).status == 200
    assert wire.post(f"{url}?key=pm-nobody-0123456789", body).status == 401
    assert CALLER_KEY not in json.dumps(fake.requests) + guarded.stderr() + str(guarded.records())
    assert "pm-nobody" not in guarded.stderr()


@HOWS
def test_a_quota_of_google_says_when_to_come_back(through: Through, how: str) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    said = {"code": 429, "message": "You exceeded your quota", "status": "RESOURCE_EXHAUSTED", "details": [info]}
    through.fake.refusals.append((429, {"error": said}))
    with pytest.raises(Exception) as refused:  # noqa: PT011  each SDK has its own
        heard_of(through, how)
    response: Any = refused.value.response  # type: ignore[attr-defined]
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


@HOWS
def test_a_blocked_prompt_is_refused_for_its_content(through: Through, how: str) -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}
    if how == "plain":
        through.fake.refusals.append((200, blocked))
    else:
        through.fake.streams.append(b"data: " + json.dumps(blocked).encode() + b"\r\n\r\n")
    with pytest.raises(Exception, match="blocked the prompt: PROHIBITED_CONTENT") as refused:
        heard_of(through, how)
    assert refused.value.response.status_code == 400  # type: ignore[attr-defined]


def _events(sidecar: SidecarProcess, model: str, body: dict[str, Any], key: str | None = None) -> list[dict[str, Any]]:
    query = "" if key is None else f"&key={key}"
    url = f"{sidecar.url}/v1beta/models/{model}:streamGenerateContent?alt=sse{query}"
    raw = wire.post(url, body).body
    return [json.loads(line[6:]) for line in raw.splitlines() if line.startswith(b"data: ")]


def test_the_sidecars_wrote_no_traceback(guarded: SidecarProcess, crossing_sidecar: SidecarProcess) -> None:
    """Last in this file: after all of the above."""
    assert "Traceback" not in guarded.stderr() + crossing_sidecar.stderr()
