"""Every crossing of dialects through one sidecar process: the official SDKs against a provider of either dialect."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal

import pytest

from schemas.bundle import Price
from schemas.record import CallRecord, Usage
from tests.blackbox.agents import Agent, AnthropicAgent, OpenAIAgent, ResponsesAgent
from tests.blackbox.kits.targets import FreshTargets
from tests.fakes import bundles
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator

PROVIDER_KEY = "sk-provider-0123456789"
PRICES = {
    "openai": Price(since="2026-01-01", input=Decimal("1.25"), output=Decimal("10.00"), cache_read=Decimal("0.125")),
    "anthropic": Price(
        since="2026-01-01",
        input=Decimal("3.00"),
        output=Decimal("15.00"),
        cache_read=Decimal("0.30"),
        cache_write=Decimal("3.75"),
    ),
}
"""Dialect to the price of the model that speaks it, in US dollars per million tokens."""


@dataclass(frozen=True)
class Crossing:
    """One SDK, one use case whose model speaks one dialect, and both processes between them."""

    agent: Agent
    side: str
    """The dialect that the use case's model speaks."""
    use_case: str
    """Nobody has asked its model yet."""
    target: tuple[str, str]
    """That model, and the provider that serves it."""
    sidecar: SidecarProcess
    simulator: SimulatorProcess

    def billed(self) -> Usage:
        """What the provider reported for the last call, by its own journal."""
        usage = self.simulator.entries()[-1]["usage"]
        return Usage(**{name: usage[name] for name in Usage.__struct_fields__ if name in usage})

    def record(self, call_id: str) -> CallRecord:
        return self.sidecar.record(call_id)


@pytest.fixture(scope="module")
def provider(start_simulator: StartSimulator) -> SimulatorProcess:
    return start_simulator("alpha", options=["--key", PROVIDER_KEY])


@pytest.fixture(scope="module")
def crossing_targets(provider: SimulatorProcess) -> FreshTargets:
    rules = bundles.bundle(
        {
            "openai-side": bundles.provider("openai", provider.url, key_env="PROVIDER_KEY"),
            "anthropic-side": bundles.provider("anthropic", provider.url, key_env="PROVIDER_KEY"),
        },
        {
            "o-model": bundles.model("openai-side", name="o-1", price=PRICES["openai"], vendor="o-vendor"),
            "a-model": bundles.model("anthropic-side", name="a-1", price=PRICES["anthropic"], vendor="a-vendor"),
        },
        {
            "to-openai": bundles.use_case("o-model", aliases=("gpt-4o",)),
            "to-anthropic": bundles.use_case("a-model", aliases=("claude-*",)),
        },
    )
    return FreshTargets(rules)


@pytest.fixture(scope="module")
def crossing_sidecar(start_sidecar: StartSidecar, crossing_targets: FreshTargets) -> SidecarProcess:
    return start_sidecar(crossing_targets.rules, environment={"PROVIDER_KEY": PROVIDER_KEY})


@pytest.fixture(scope="module")
def agents(crossing_sidecar: SidecarProcess) -> Iterator[dict[str, Agent]]:
    made = [kind(crossing_sidecar.url) for kind in (OpenAIAgent, ResponsesAgent, AnthropicAgent)]
    with ExitStack() as clients:
        for agent in made:
            clients.enter_context(agent.client)
        yield {agent.dialect: agent for agent in made}


@pytest.fixture(params=["openai", "openai-responses", "anthropic"])
def agent(request: pytest.FixtureRequest, agents: dict[str, Agent]) -> Agent:
    return agents[request.param]


@pytest.fixture(params=["openai", "anthropic"], ids=["to-openai", "to-anthropic"])
def crossing(
    request: pytest.FixtureRequest,
    agent: Agent,
    crossing_targets: FreshTargets,
    crossing_sidecar: SidecarProcess,
    provider: SimulatorProcess,
) -> Crossing:
    """All of them, one after the other, each with a target of its own, without faults and with an empty journal."""
    provider.clear()
    use_case = crossing_targets.use_case(f"to-{request.param}")
    (target,) = crossing_targets.chain(use_case)
    return Crossing(agent, request.param, use_case, target, crossing_sidecar, provider)
