"""Conversations of the official SDKs: they stay where an outage moved them, and draw one lot for all their turns."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from schemas.bundle import Retry, Share
from tests.blackbox.agents import Agent, AnthropicAgent, OpenAIAgent, ResponsesAgent
from tests.fakes import bundles
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator

QUESTION = "What will the weather be?"


@pytest.fixture(scope="module")
def simulator(start_simulator: StartSimulator) -> SimulatorProcess:
    return start_simulator("alpha")


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, simulator: SimulatorProcess) -> SidecarProcess:
    once = Retry(max_attempts=4, same_target=0)
    half = Share(model="a-model", percent=Decimal(50))
    return start_sidecar(
        bundles.bundle(
            {
                "o-side": bundles.provider("openai", simulator.url),
                "a-side": bundles.provider("anthropic", simulator.url),
            },
            {"o-model": bundles.model("o-side", name="o-1"), "a-model": bundles.model("a-side", name="a-1")},
            {
                "sticky": bundles.use_case("o-model", "a-model", sticky=True, retry=once),
                "trying": bundles.use_case("o-model", canary=half),
            },
        )
    )


@pytest.fixture(scope="module", params=[OpenAIAgent, ResponsesAgent, AnthropicAgent])
def agent(request: pytest.FixtureRequest, sidecar: SidecarProcess) -> Iterator[Agent]:
    agent = request.param(sidecar.url)
    with agent.client:
        yield agent


def test_the_next_turn_goes_where_the_one_before_was_answered(
    agent: Agent, sidecar: SidecarProcess, simulator: SimulatorProcess
) -> None:
    question = f"{QUESTION} I speak by {agent.path}."
    simulator.fault({"status": 500}, model="o-1", times=1)
    first = agent.plain("sticky", question, "tool")
    second = agent.answer_tools("sticky", question, first, "sunny", stream=True)
    other = agent.plain("sticky", "Something else")
    assert [heard.headers["x-pointsman-model"] for heard in (first, second, other)] == ["a-model", "a-model", "o-model"]
    assert [heard.headers["x-pointsman-reason"] for heard in (first, second, other)] == [
        "server_fault",
        "sticky",
        "primary",
    ]
    records = [sidecar.record(heard.request_id) for heard in (first, second, other)]
    assert records[0].conversation == records[1].conversation != records[2].conversation


def test_all_turns_of_a_conversation_are_in_one_arm(agent: Agent, sidecar: SidecarProcess) -> None:
    arms = []
    for number in range(8):
        question = f"{QUESTION} ({number})"
        first = agent.plain("trying", question, "tool")
        second = agent.answer_tools("trying", question, first, "sunny", stream=False)
        records = [sidecar.record(heard.request_id) for heard in (first, second)]
        assert {(record.arm, record.model, record.propensity) for record in records} == {
            (records[0].arm, records[0].arm, 0.5)
        }
        arms.append(records[0].arm)
    assert set(arms) == {"o-model", "a-model"}


def test_the_header_names_the_conversation(agent: Agent, sidecar: SidecarProcess) -> None:
    named = {"x-pointsman-conversation": "ticket-4711"}
    heard = [agent.plain("trying", f"{QUESTION} {number}", extra_headers=named) for number in range(2)]
    records = [sidecar.record(one.request_id) for one in heard]
    assert len({(record.conversation, record.arm) for record in records}) == 1
    assert "ticket" not in str(records)
