"""A provider that speaks the Responses API, behind a sidecar process: every SDK in front of it, and how it fails."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.blackbox.agents import Agent, AnthropicAgent, OpenAIAgent, ResponsesAgent
from tests.fakes import bundles, wire
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.upstream import FaultServer, Play, serving

GOLDEN = Path(__file__).parents[1] / "golden"
KINDS = {"plain": ("responses", "json"), "streamed": ("streams", "sse")}
CASES = ("text", "tool_call", "parallel_tools", "reasoning", "refusal")
QUESTION = "When does the night train leave?"
COST = (16 * bundles.CHEAP.input + 24 * Decimal("0.025") + 12 * bundles.CHEAP.output) / 1_000_000


def golden(how: str, case: str) -> bytes:
    kind, suffix = KINDS[how]
    return (GOLDEN / kind / "openai-responses" / f"{case}.{suffix}").read_bytes()


BEGUN = golden("streamed", "text").partition(b"event: response.output_text.done")[0]
PLAYS = {
    **{f"{case}-{how}": Play(pieces=(golden(how, case),)) for case in CASES for how in KINDS},
    "cut": Play(pieces=(BEGUN,), then="close"),
    "fails": Play(pieces=(golden("streamed", "failed"),)),
    "fails-first": Play(pieces=(golden("streamed", "failed_first"),)),
    "fails-plain": Play(pieces=(golden("plain", "failed_server"),)),
}


@contextmanager
def serving_in_a_thread() -> Iterator[FaultServer]:
    """The SDKs here wait for their answers, so their provider cannot share their thread."""
    started: list[FaultServer] = []
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with serving(PLAYS, b"") as server:
            started.append(server)
            ready.set()
            await over.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(5)
        yield started[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar) -> Iterator[SidecarProcess]:
    with serving_in_a_thread() as server:
        url = f"http://127.0.0.1:{server.port}"
        providers = {part: bundles.provider("openai-responses", f"{url}/{part}") for part in PLAYS}
        models = {part: bundles.model(part, name=f"m-{part}") for part in PLAYS}
        use_cases = {part: bundles.use_case(part) for part in PLAYS}
        use_cases["falls-back"] = bundles.use_case("fails-first", "text-streamed")
        use_cases["falls-back-plain"] = bundles.use_case("fails-plain", "text-plain")
        providers["chat"] = bundles.provider("openai", f"{url}/cut")
        models["chat"] = bundles.model("chat", name="c")
        use_cases["chat-first"] = bundles.use_case("chat", "text-plain")
        use_cases["chat-alone"] = bundles.use_case("chat")
        yield start_sidecar(bundles.bundle(providers, models, use_cases))


@pytest.fixture(params=[OpenAIAgent, ResponsesAgent, AnthropicAgent], ids=["openai", "openai-responses", "anthropic"])
def agent(request: pytest.FixtureRequest, sidecar: SidecarProcess) -> Iterator[Agent]:
    agent = request.param(sidecar.url)
    with agent.client:
        yield agent


@pytest.fixture
def client(sidecar: SidecarProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{sidecar.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("how", KINDS)
def test_a_text(agent: Agent, sidecar: SidecarProcess, how: str) -> None:
    ask = agent.plain if how == "plain" else agent.streamed
    heard = ask(f"text-{how}", QUESTION)
    assert (heard.text, heard.finish) == ("The night train leaves at 22:10.", "done")
    assert (heard.usage.input_tokens, heard.usage.cache_read_tokens, heard.usage.output_tokens) == (40, 24, 12)
    assert heard.cost_usd == COST
    record = sidecar.record(heard.request_id)
    assert (record.outcome, record.usage, record.cost_usd) == ("ok", heard.usage, COST)


@pytest.mark.parametrize("how", KINDS)
def test_parallel_tools(agent: Agent, how: str) -> None:
    ask = agent.plain if how == "plain" else agent.streamed
    heard = ask(f"parallel_tools-{how}", QUESTION, "tool")
    assert heard.finish == "tools"
    assert [(call.id, call.name, call.arguments) for call in heard.calls] == [
        ("call_1", "get_weather", {"city": "Ghent"}),
        ("call_2", "get_weather", {"city": "Rome"}),
    ]
    assert heard.text == "I will look."


@pytest.mark.parametrize("how", KINDS)
def test_reasoning(agent: Agent, how: str) -> None:
    ask = agent.plain if how == "plain" else agent.streamed
    heard = ask(f"reasoning-{how}", QUESTION, "reasoning")
    assert "**Counting** bridges." in heard.reasoning
    assert heard.text == "Eighteen."
    assert heard.usage.reasoning_tokens == 64


@pytest.mark.parametrize("case", CASES)
def test_what_passes_through_is_what_came(sidecar: SidecarProcess, case: str) -> None:
    """But for the cost in the usage of a stream."""
    for how, stream in (("plain", False), ("streamed", True)):
        body = {"model": f"{case}-{how}", "input": QUESTION, "stream": stream}
        answer = wire.post(f"{sidecar.url}/v1/responses", body)
        passed, costs = re.subn(rb',"cost_usd":[0-9.]+', b"", answer.body)
        assert (passed, costs) == (golden(how, case), int(stream))


@pytest.mark.parametrize(("use_case", "code"), [("cut", "stream_cut"), ("fails", "server_fault")])
def test_a_stream_that_breaks_fails_as_the_api_says(
    client: openai.OpenAI, sidecar: SidecarProcess, use_case: str, code: str
) -> None:
    raw = client.responses.with_raw_response.create(model=use_case, input=QUESTION, stream=True)
    events: list[Any] = list(raw.parse())
    last = events[-1]
    assert last.type == "response.failed"
    assert (last.response.id, last.response.status, last.response.error.code) == ("resp_1", "failed", code)
    assert last.sequence_number == events[-2].sequence_number + 1
    assert not any(event.type == "response.completed" for event in events)
    assert sidecar.record(raw.headers["x-pointsman-request-id"]).outcome == code


@pytest.mark.parametrize(("use_case", "stream"), [("falls-back", True), ("falls-back-plain", False)])
def test_an_answer_that_failed_before_its_first_word_comes_from_the_next_target(
    client: openai.OpenAI, use_case: str, stream: bool
) -> None:
    raw = client.responses.with_raw_response.create(model=use_case, input=QUESTION, stream=stream)
    answer: Any = list(raw.parse())[-1].response if stream else raw.parse()
    assert answer.output_text == "The night train leaves at 22:10."
    assert raw.headers["x-pointsman-model"] == f"text-{'streamed' if stream else 'plain'}"


def test_what_lives_at_a_provider_goes_only_where_its_dialect_is_spoken(client: openai.OpenAI) -> None:
    earlier = {"input": "And?", "previous_response_id": "resp_of_old"}
    raw = client.responses.with_raw_response.create(model="chat-first", **earlier)
    assert raw.headers["x-pointsman-model"] == "text-plain"
    with pytest.raises(openai.UnprocessableEntityError, match="an earlier answer by its id") as caught:
        client.responses.create(model="chat-alone", **earlier)
    assert caught.value.code == "cannot_carry"


def test_the_streaming_helper_of_the_sdk_follows(client: openai.OpenAI) -> None:
    with client.responses.stream(model="parallel_tools-streamed", input=QUESTION) as stream:
        answer = stream.get_final_response()
    assert [item.type for item in answer.output] == ["message", "function_call", "function_call"]
