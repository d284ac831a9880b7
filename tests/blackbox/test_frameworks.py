"""Agent frameworks through a sidecar process to a provider of either dialect: LangChain, Pydantic AI, Vercel's AI SDK.

Each by every API that it speaks; what it is asked to do is what its users do with it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from pydantic_ai import Agent

from schemas.bundle import DialectName
from schemas.record import CallRecord
from tests.blackbox.conftest import PROVIDER_KEY
from tests.blackbox.kits.kit import TOOL_RESULT, Kit, Settings
from tests.blackbox.kits.registry import FRAMEWORKS
from tests.blackbox.kits.targets import FreshTargets, one_each
from tests.fakes import bundles
from tests.fakes.processes import eventually
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess

SPOKEN = {
    "langchain-chat": "openai",
    "langchain-responses": "openai-responses",
    "pydantic-chat": "openai",
    "pydantic-responses": "openai-responses",
    "pydantic-anthropic": "anthropic",
    "vercel-chat": "openai",
    "vercel-responses": "openai-responses",
    "vercel-anthropic": "anthropic",
}
QUESTION = "Where is the station?"
TOOL_QUESTION = "What does the weather tool say?"
DIALECTS: tuple[DialectName, ...] = ("openai", "anthropic")
HOWS = pytest.mark.parametrize("how", ["plain", "streamed"])


@pytest.fixture(scope="module")
def targets(provider: SimulatorProcess) -> FreshTargets:
    upstreams = {dialect: bundles.provider(dialect, provider.url, key_env="PROVIDER_KEY") for dialect in DIALECTS}
    return FreshTargets(one_each(upstreams))


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, targets: FreshTargets) -> SidecarProcess:
    return start_sidecar(targets.rules, environment={"PROVIDER_KEY": PROVIDER_KEY})


@pytest.fixture(scope="module")
def kits(sidecar: SidecarProcess) -> Iterator[dict[str, Kit]]:
    with ExitStack() as ends:
        yield {name: ends.enter_context(closing(make(Settings(sidecar.url)))) for name, make in FRAMEWORKS.items()}


@pytest.fixture(params=sorted(FRAMEWORKS))
def kit(request: pytest.FixtureRequest, kits: dict[str, Kit]) -> Kit:
    return kits[request.param]


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def use_case(dialect: str, targets: FreshTargets, provider: SimulatorProcess) -> str:
    provider.clear()
    return targets.use_case(f"to-{dialect}")


def answer_of(dialect: str) -> str:
    return f"Simulated answer of {dialect}-model at alpha"


def ask(kit: Kit, how: str, use_case: str, question: str = QUESTION) -> str:
    return kit.plain(use_case, question) if how == "plain" else kit.streamed(use_case, question)


@HOWS
def test_text(
    request: pytest.FixtureRequest, kit: Kit, dialect: str, use_case: str, how: str, sidecar: SidecarProcess
) -> None:
    assert ask(kit, how, use_case) == f'{answer_of(dialect)} to: "{QUESTION}"'
    record = sidecar.records()[-1]
    assert (record.outcome, record.estimated, record.stream) == ("ok", False, how == "streamed")
    assert record.dialect == SPOKEN[request.node.callspec.params["kit"]]


@HOWS
def test_a_tool_is_called_and_its_result_is_read(kit: Kit, dialect: str, use_case: str, how: str) -> None:
    used = kit.use_tool(use_case, TOOL_QUESTION, stream=how == "streamed")
    assert set(used.given) == {"city", "days"}
    assert used.text == f"{answer_of(dialect)}. The tool says: {TOOL_RESULT}"


def test_structured_output_is_a_value_of_its_schema(kit: Kit, use_case: str) -> None:
    value = kit.structured(use_case, QUESTION)
    assert set(value) == {"city", "days"}
    assert (type(value["city"]), type(value["days"])) == (str, int)


@HOWS
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param({"status": 400, "message": "messages.0: too odd"}, 400, "rejected", id="400"),
        pytest.param({"status": 401}, 502, "provider_auth", id="401"),
        pytest.param({"status": 429, "retry_after": 7}, 503, "throttled", id="429"),
    ],
)
def test_an_error_is_one_of_the_sdks_own_with_our_words_in_it(
    kit: Kit, use_case: str, how: str, provider: SimulatorProcess, fault: dict[str, object], status: int, code: str
) -> None:
    provider.fault(fault)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # `failure` says of which class it has to be
        ask(kit, how, use_case)
    failure = kit.failure(caught.value)
    assert (failure.status, failure.code) == (status, code)
    words = "messages.0: too odd" if status == 400 else f'no model of use case "{use_case}" answered'
    assert words in failure.message
    # The SDK did not try again what we have tried.
    assert len(provider.entries()) == 1


@HOWS
def test_an_unknown_use_case_lists_close_names(kit: Kit, how: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        ask(kit, how, "to-opneai-7")
    failure = kit.failure(caught.value)
    assert (failure.status, failure.code) == (404, "unknown_use_case")
    assert 'did you mean "to-openai-7"?' in failure.message


def test_a_stream_that_breaks_is_an_error(kit: Kit, use_case: str, provider: SimulatorProcess) -> None:
    provider.fault({"cut": 3, "cut_how": "clean"})
    with pytest.raises(Exception) as caught:  # noqa: PT011
        kit.streamed(use_case, QUESTION)
    assert "the provider's stream ended" in kit.failure(caught.value).message


def test_a_caller_that_leaves_ends_the_providers_work(
    kit: Kit, use_case: str, provider: SimulatorProcess, sidecar: SidecarProcess
) -> None:
    provider.fault({"stall": 2})
    booked = len(sidecar.records())
    assert kit.leave_early(use_case, QUESTION).startswith("Sim")

    def last() -> CallRecord | None:
        records = sidecar.records()
        return records[-1] if len(records) > booked else None

    record = eventually(last)
    assert (record.outcome, record.estimated) == ("client_closed", True)
    assert record.usage is not None
    assert record.usage.output_tokens > 1
    entry = eventually(lambda: next((e for e in provider.entries() if e["ended"] is not None), None))
    assert entry["client_left"]


# Which API an SDK takes when its user names none


@pytest.mark.parametrize(
    ("model", "speaks"),
    [
        ("openai:gpt-5", "openai-responses"),
        ("openai-chat:gpt-5", "openai"),
        ("anthropic:claude-sonnet-4-6", "anthropic"),
    ],
)
def test_pydantic_ai_is_told_a_model_and_a_base_url(
    monkeypatch: pytest.MonkeyPatch,
    sidecar: SidecarProcess,
    use_case: str,
    model: str,
    dialect: str,
    speaks: str,
) -> None:
    for vendor, url in (("OPENAI", f"{sidecar.url}/v1"), ("ANTHROPIC", sidecar.url)):
        monkeypatch.setenv(f"{vendor}_BASE_URL", url)
        monkeypatch.setenv(f"{vendor}_API_KEY", "no-key-is-asked-for")

    async def answer() -> str:
        agent: Any = Agent(model, model_settings={"extra_headers": {"x-pointsman-use-case": use_case}})
        try:
            return str((await agent.run(QUESTION)).output)
        finally:
            await agent.model.client.close()

    assert asyncio.run(answer()).startswith(answer_of(dialect))
    assert sidecar.records()[-1].dialect == speaks


@pytest.mark.parametrize(("model", "speaks"), [("gpt-5.2-pro", "openai-responses"), ("gpt-4o", "openai")])
def test_langchain_takes_the_api_by_the_models_name(
    sidecar: SidecarProcess, use_case: str, model: str, dialect: str, speaks: str
) -> None:
    chat = ChatOpenAI(
        model=model,
        base_url=f"{sidecar.url}/v1",
        api_key=SecretStr("no-key-is-asked-for"),
        default_headers={"x-pointsman-use-case": use_case},
    )
    assert chat.invoke(QUESTION).text.startswith(answer_of(dialect))
    assert sidecar.records()[-1].dialect == speaks
