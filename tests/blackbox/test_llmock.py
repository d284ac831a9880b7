"""Every SDK through a sidecar process to LLMock, a simulator that others wrote, in the four dialects that it speaks.

LLMock keeps a journal of what its client did about each fault, and judges it: that client is the sidecar.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import openai
import pytest

from tests.blackbox.kits.kit import TOOL_RESULT, Kit, Settings
from tests.blackbox.kits.registry import KITS
from tests.blackbox.kits.targets import FreshTargets, one_each
from tests.fakes import bundles
from tests.fakes.llmock import ECHO, PATHS, LLMockProcess
from tests.fakes.sidecar import SidecarProcess, StartSidecar

QUESTION = "Where is the station?"
FORECAST = '{"city": "Oslo", "days": 2}'
HOWS = pytest.mark.parametrize("how", ["plain", "streamed"])


@pytest.fixture(scope="module")
def llmock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLMockProcess]:
    process = LLMockProcess(tmp_path_factory.mktemp("llmock"))
    yield process
    process.stop()


@pytest.fixture(scope="module")
def targets(llmock: LLMockProcess) -> FreshTargets:
    roots = {dialect: llmock.base_url(dialect).removesuffix("/v1" if dialect == "openai" else "") for dialect in PATHS}
    upstreams = {dialect: bundles.provider(dialect, root) for dialect, root in roots.items()}
    return FreshTargets(one_each(upstreams), copies=600)


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, targets: FreshTargets) -> SidecarProcess:
    return start_sidecar(targets.rules)


@pytest.fixture(scope="module")
def kits(sidecar: SidecarProcess) -> Iterator[dict[str, Kit]]:
    with ExitStack() as ends:
        yield {name: ends.enter_context(closing(make(Settings(sidecar.url)))) for name, make in KITS.items()}


@pytest.fixture(params=sorted(KITS))
def kit(request: pytest.FixtureRequest, kits: dict[str, Kit]) -> Kit:
    return kits[request.param]


@pytest.fixture(params=list(PATHS))
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def use_case(dialect: str, targets: FreshTargets, llmock: LLMockProcess) -> str:
    llmock.reset()
    return targets.use_case(f"to-{dialect}")


def ask(kit: Kit, how: str, use_case: str, question: str = QUESTION) -> str:
    return kit.plain(use_case, question) if how == "plain" else kit.streamed(use_case, question)


def is_passed(llmock: LLMockProcess) -> bool:
    verdict = llmock.verdict()
    assert verdict["findings"] == []
    return bool(verdict["passed"])


@HOWS
def test_text(kit: Kit, use_case: str, how: str, sidecar: SidecarProcess, llmock: LLMockProcess) -> None:
    assert ask(kit, how, use_case) == f"{ECHO}{QUESTION}"
    record = sidecar.records()[-1]
    assert (record.outcome, record.stream, record.estimated) == ("ok", how == "streamed", False)
    assert record.usage is not None
    assert record.usage.input_tokens > 0
    assert record.usage.output_tokens > 0
    assert is_passed(llmock)


@HOWS
def test_a_tool_is_called_and_its_result_is_read(
    kit: Kit, dialect: str, use_case: str, how: str, llmock: LLMockProcess
) -> None:
    used = kit.use_tool(use_case, "What does the weather tool say?", stream=how == "streamed")
    assert {name: type(value) for name, value in used.given.items()} == {"city": str, "days": int}
    assert used.text.startswith(ECHO)
    # It reads Gemini's tool results, and does not repeat them.
    assert TOOL_RESULT in used.text or dialect == "gemini"
    assert len(llmock.requests()) == 2
    assert is_passed(llmock)


def test_structured_output_is_a_value_of_its_schema(kit: Kit, use_case: str, llmock: LLMockProcess) -> None:
    llmock.will({"type": "reply", "text": FORECAST})
    assert kit.structured(use_case, QUESTION) == {"city": "Oslo", "days": 2}


@HOWS
def test_what_the_caller_can_mend_comes_in_the_providers_words(
    kit: Kit, use_case: str, how: str, llmock: LLMockProcess
) -> None:
    llmock.will({"type": "fail", "status": 400, "message": "messages.0: too odd"})
    with pytest.raises(Exception) as caught:  # noqa: PT011  # `failure` says of which class it has to be
        ask(kit, how, use_case)
    failure = kit.failure(caught.value)
    assert (failure.status, failure.code) == (400, "rejected")
    assert "messages.0: too odd" in failure.message
    assert len(llmock.requests()) == 1
    assert is_passed(llmock)


PASSING = [
    pytest.param({"type": "fail", "status": 500, "retry_after": 0.1}, id="500"),
    pytest.param({"type": "fail", "status": 503, "retry_after": 0.3}, id="503"),
    pytest.param({"type": "fail", "status": 529, "retry_after": 0.1}, id="529"),
    pytest.param({"type": "fail", "status": 429, "retry_after": 0.2}, id="429"),
    pytest.param({"type": "stream_fault", "kind": "disconnect", "after_chunks": 0}, id="disconnect"),
    pytest.param({"type": "stream_fault", "kind": "truncate", "after_chunks": 0}, id="truncate"),
    pytest.param({"type": "stream_fault", "kind": "malformed", "after_chunks": 0}, id="malformed"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_waited_out_unseen(
    kits: dict[str, Kit], use_case: str, llmock: LLMockProcess, fault: dict[str, object]
) -> None:
    llmock.will(fault)
    assert kits["openai-chat"].streamed(use_case, QUESTION) == f"{ECHO}{QUESTION}"
    met, answered = sorted(llmock.requests(), key=lambda request: request["seq"])
    assert met["fault"] is not None or met["status"] >= 400
    assert (answered["fault"], answered["status"]) == (None, 200)
    # A malformed stream goes on until LLMock notices that nobody reads it, and a retry that began before that is to its
    # judge no retry: which of the two comes first is its own scheduling.
    if fault.get("kind") != "malformed":
        assert is_passed(llmock)


def test_a_provider_that_is_down_is_not_stormed(
    kits: dict[str, Kit], targets: FreshTargets, llmock: LLMockProcess
) -> None:
    llmock.reset()
    llmock.will({"type": "fail", "status": 503, "retry_after": 0.05, "times": 50})
    use_case = targets.use_case("to-openai")
    for number in range(8):
        with pytest.raises(openai.InternalServerError):
            kits["openai-chat"].plain(use_case, f"{QUESTION} Asked {number} times.")
    assert llmock.verdict()["errors"] == 0
    # At most two tries of a call, and none once the breaker is open.
    assert len(llmock.requests()) < 12


BEGUN = {"openai": 3, "openai-responses": 6, "anthropic": 5, "gemini": 2}
"""After this many events some of the answer's words have come."""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param("truncate", "the provider's stream ended", id="truncate"),
        pytest.param("disconnect", "the connection broke inside the stream", id="disconnect"),
    ],
)
def test_half_an_answer_is_an_error_and_the_next_try_is_whole(
    kit: Kit, dialect: str, use_case: str, kind: str, words: str, sidecar: SidecarProcess, llmock: LLMockProcess
) -> None:
    """LLMock lets a cut stream pass only where somebody asks again; SDKs alone take half an answer for a whole one."""
    llmock.will({"type": "stream_fault", "kind": kind, "after_chunks": BEGUN[dialect]})
    with pytest.raises(Exception) as caught:  # noqa: PT011
        kit.streamed(use_case, QUESTION)
    assert words in kit.failure(caught.value).message
    record = sidecar.records()[-1]
    assert (record.outcome, record.estimated) == ("stream_cut", True)
    assert kit.streamed(use_case, QUESTION) == f"{ECHO}{QUESTION}"
    assert is_passed(llmock)


def test_an_event_that_is_not_json_is_an_error(kit: Kit, dialect: str, use_case: str, llmock: LLMockProcess) -> None:
    """Where the answer passes through, the SDK's own parser may be the one that says so, in its own way."""
    llmock.will({"type": "stream_fault", "kind": "malformed", "after_chunks": BEGUN[dialect]})
    with pytest.raises(Exception):  # noqa: B017, PT011
        kit.streamed(use_case, QUESTION)
