"""Every SDK through a sidecar process to aimock, a simulator that others wrote, by the paths of three clouds.

Azure's deployments, Vertex AI's Gemini and Bedrock's Converse: no SDK of an agent calls these; the sidecar does.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from schemas.bundle import Provider, Secret
from tests.blackbox.kits.kit import Kit, Settings
from tests.blackbox.kits.registry import KITS
from tests.blackbox.kits.targets import FreshTargets, one_each
from tests.fakes.aimock import AimockProcess
from tests.fakes.sidecar import SidecarProcess, StartSidecar

KEY = "cloud-key-0123456789"
QUESTION = "Where is the station?"
ANSWER = "Behind the harbour, where the three tram lines meet and the night train waits."
TOLD = "It rains at noon."
FORECAST = {"city": "Oslo", "days": 2}
USAGE = {"prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49, "input_tokens": 40, "output_tokens": 9}


def fixture(response: dict[str, Any], **match: Any) -> dict[str, Any]:
    return {"match": {"endpoint": "chat", **match}, "response": response}


ERROR = {"error": {"message": "messages.0: too odd", "type": "invalid_request_error"}, "status": 400}
FIXTURES = [
    fixture({"content": TOLD, "usage": USAGE}, hasToolResult=True),
    fixture({"toolCalls": [{"name": "weather", "arguments": FORECAST}], "usage": USAGE}, userMessage="weather tool"),
    fixture({"content": FORECAST, "usage": USAGE}, userMessage="as JSON"),
    fixture(ERROR, userMessage="too odd"),
    fixture({"content": ANSWER * 2}, userMessage="cut") | {"truncateAfterChunks": 5},
    fixture({"content": ANSWER, "usage": USAGE}),
]
PLACES = {
    "azure": "/openai/deployments/azure-model/chat/completions",
    "vertex": "/v1/projects/p-1/locations/l-1/publishers/google/models/vertex-model:",
    "bedrock": "/model/bedrock-model/converse",
}
"""Cloud to how the path begins that its calls have to come in by."""
KEY_HEADERS = {"azure": "api-key", "vertex": "x-goog-api-key", "bedrock": "authorization"}
HOWS = pytest.mark.parametrize("how", ["plain", "streamed"])


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AimockProcess]:
    process = AimockProcess(tmp_path_factory.mktemp("aimock"), FIXTURES, KEY)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def targets(aimock: AimockProcess) -> FreshTargets:
    key = Secret(env="CLOUD_KEY")
    vertex = f"{aimock.url}/v1/projects/p-1/locations/l-1"
    providers = {
        "azure": Provider(
            dialect="openai",
            base_url=f"{aimock.url}/openai",
            layout="azure-deployments",
            api_version="2024-10-21",
            api_key=key,
            key_header="api-key",
        ),
        "vertex": Provider(dialect="gemini", base_url=vertex, layout="vertex", api_key=key),
        "bedrock": Provider(dialect="bedrock", base_url=aimock.url, api_key=key),
    }
    return FreshTargets(one_each(providers))


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, targets: FreshTargets) -> SidecarProcess:
    return start_sidecar(targets.rules, environment={"CLOUD_KEY": KEY})


@pytest.fixture(scope="module")
def kits(sidecar: SidecarProcess) -> Iterator[dict[str, Kit]]:
    with ExitStack() as ends:
        yield {name: ends.enter_context(closing(make(Settings(sidecar.url)))) for name, make in KITS.items()}


@pytest.fixture(params=sorted(KITS))
def kit(request: pytest.FixtureRequest, kits: dict[str, Kit]) -> Kit:
    return kits[request.param]


@pytest.fixture(params=sorted(PLACES))
def cloud(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def use_case(cloud: str, targets: FreshTargets, aimock: AimockProcess) -> str:
    aimock.clear()
    return targets.use_case(f"to-{cloud}")


def ask(kit: Kit, how: str, use_case: str, question: str = QUESTION) -> str:
    return kit.plain(use_case, question) if how == "plain" else kit.streamed(use_case, question)


@HOWS
def test_text(kit: Kit, cloud: str, use_case: str, how: str, sidecar: SidecarProcess, aimock: AimockProcess) -> None:
    assert ask(kit, how, use_case) == ANSWER
    record = sidecar.records()[-1]
    assert (record.outcome, record.stream, record.estimated) == ("ok", how == "streamed", False)
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (40, 9)
    (sent,) = aimock.requests()
    assert sent["path"].startswith(PLACES[cloud])
    # Whose key it is, aimock has looked at.
    assert set(sent["headers"]) & {*KEY_HEADERS.values(), "x-api-key"} == {KEY_HEADERS[cloud]}


# Of Gemini's finish reasons that is none, and its SDK says so; to the sidecar a call is a call.
@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason:UserWarning")
@HOWS
def test_a_tool_is_called_and_its_result_is_read(kit: Kit, use_case: str, how: str, aimock: AimockProcess) -> None:
    used = kit.use_tool(use_case, "What does the weather tool say?", stream=how == "streamed")
    assert (used.given, used.text) == (FORECAST, TOLD)
    assert len(aimock.requests()) == 2


def test_structured_output_is_a_value_of_its_schema(kit: Kit, use_case: str) -> None:
    assert kit.structured(use_case, "Say it as JSON.") == FORECAST


@HOWS
def test_what_the_caller_can_mend_comes_in_the_providers_words(
    kit: Kit, cloud: str, use_case: str, how: str, aimock: AimockProcess
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # `failure` says of which class it has to be
        ask(kit, how, use_case, "This is too odd.")
    failure = kit.failure(caught.value)
    assert (failure.status, failure.code) == (400, "rejected")
    # What aimock says at Bedrock's path has the shape of Anthropic's errors, which the service never sends.
    assert ("the provider answered 400" if cloud == "bedrock" else "messages.0: too odd") in failure.message
    assert len(aimock.requests()) == 1


def test_half_an_answer_is_an_error(kit: Kit, use_case: str, sidecar: SidecarProcess) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        kit.streamed(use_case, "This will be cut.")
    assert "stream" in kit.failure(caught.value).message
    assert (sidecar.records()[-1].outcome, sidecar.records()[-1].estimated) == ("stream_cut", True)
