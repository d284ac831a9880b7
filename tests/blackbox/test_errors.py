"""Errors as agents get them: the right class of the SDK, a message that says what to do, one try, and a record."""

from typing import Any

import anthropic
import openai
import pytest

from tests.blackbox.agents import Agent
from tests.blackbox.conftest import Crossing
from tests.fakes import wire
from tests.fakes.sidecar import SidecarProcess

SDKS: dict[str, Any] = {"openai": openai, "openai-responses": openai, "anthropic": anthropic}
QUESTION = "What time is it?"
HOWS = pytest.mark.parametrize("how", ["plain", "streamed"])


def refused(crossing: Crossing, how: str, model: str | None = None) -> Any:
    """The exception of the SDK; it retries as it likes."""
    method = crossing.agent.plain if how == "plain" else crossing.agent.streamed
    with pytest.raises(SDKS[crossing.agent.dialect].APIStatusError) as caught:
        method(model or crossing.use_case, QUESTION)
    return caught.value


def code_in(error: Any, dialect: str) -> str:
    """Our word, where each SDK's users look for one."""
    return str(error.code if dialect != "anthropic" else error.body["error"]["code"])


@HOWS
@pytest.mark.parametrize(
    ("fault", "name", "status", "code", "calls"),
    [
        pytest.param({"status": 400, "message": "odd"}, "BadRequestError", 400, "rejected", 1, id="400"),
        pytest.param({"status": 413}, "APIStatusError", 413, "rejected", 1, id="413"),
        pytest.param({"status": 401}, "InternalServerError", 502, "provider_auth", 1, id="401"),
        pytest.param({"status": 404}, "InternalServerError", 502, "provider_model", 1, id="404"),
        pytest.param({"status": 429, "retry_after": 7}, "InternalServerError", 503, "throttled", 1, id="429"),
        pytest.param({"status": 500}, "InternalServerError", 502, "server_fault", 2, id="500"),
        pytest.param({"status": 503}, "InternalServerError", 503, "overloaded", 2, id="503"),
        pytest.param({"garbage": "html"}, "InternalServerError", 502, "malformed_answer", 2, id="html"),
    ],
)  # fmt: skip
def test_a_providers_error(
    crossing: Crossing, how: str, fault: dict[str, Any], name: str, status: int, code: str, calls: int
) -> None:
    crossing.simulator.fault(fault)
    error = refused(crossing, how)
    assert isinstance(error, getattr(SDKS[crossing.agent.dialect], name))
    assert error.status_code == status
    assert code_in(error, crossing.agent.dialect) == code
    # Neither SDK tries again what we have tried: the provider saw our own attempts only.
    assert error.response.headers["x-should-retry"] == "false"
    assert len(crossing.simulator.entries()) == calls
    assert error.response.headers["x-pointsman-attempts"] == str(calls)
    assert error.response.headers["x-pointsman-use-case"] == crossing.use_case
    record = crossing.record(error.response.headers["x-pointsman-request-id"])
    assert (record.outcome, record.status, record.cost_usd) == (code, status, None)
    assert [attempt.outcome for attempt in record.attempts] == [code] * calls


@HOWS
def test_what_the_caller_can_mend_comes_in_the_providers_words_without_keys(crossing: Crossing, how: str) -> None:
    crossing.simulator.fault({"status": 400, "message": "messages.0: too odd for sk-proj-abcdefghijklmnop0123456789"})
    error = refused(crossing, how)
    assert "messages.0: too odd" in error.message
    assert "abcdefghijklmnop" not in str(error) + error.response.text


@HOWS
def test_a_dead_key_of_ours_is_never_the_callers_401(crossing: Crossing, how: str) -> None:
    crossing.simulator.fault({"status": 401})
    error = refused(crossing, how)
    assert not isinstance(error, SDKS[crossing.agent.dialect].AuthenticationError)
    assert "sk-provider" not in str(error)


@HOWS
def test_a_throttled_chain_says_when_to_come_back(crossing: Crossing, how: str) -> None:
    crossing.simulator.fault({"status": 429, "retry_after": 7})
    assert refused(crossing, how).response.headers["retry-after"] == "7"


@HOWS
def test_an_unknown_use_case_lists_close_names(crossing: Crossing, how: str) -> None:
    error = refused(crossing, how, model="to-opneai")
    assert isinstance(error, SDKS[crossing.agent.dialect].NotFoundError)
    assert code_in(error, crossing.agent.dialect) == "unknown_use_case"
    assert 'did you mean "to-openai"?' in error.message
    assert "to-anthropic" in error.message
    assert crossing.simulator.entries() == []


def test_anthropics_error_shape_is_its_own(agents: dict[str, Agent]) -> None:
    """`type` is one of the vendor's words, and the code stands where its SDK reads one."""
    client: anthropic.Anthropic = agents["anthropic"].client  # type: ignore[attr-defined]
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="nowhere", max_tokens=5, messages=[{"role": "user", "content": QUESTION}])
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"
    assert body["error"]["details"]["error_code"] == "unknown_use_case"
    assert body["request_id"] == caught.value.response.headers["x-pointsman-request-id"]


def test_the_sidecar_wrote_no_traceback(crossing_sidecar: SidecarProcess) -> None:
    """Last in this file: after all of the above."""
    assert "Traceback" not in crossing_sidecar.stderr()
    assert wire.get(f"{crossing_sidecar.admin_url}/healthz").status == 200
