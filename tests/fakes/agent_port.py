"""The agents' port on a free port of its own, over a core whose every port is faked."""

from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from schemas.bundle import encode_bundle
from sidecar.counting import TokenCounter
from sidecar.rules.cache import LastGood
from sidecar.rules.probation import Probation
from sidecar.rules.store import RuleStore
from sidecar.rules.trust import LocalTrust
from sidecar.server.agents import AgentPort
from sidecar.server.passthrough import PassThrough
from sidecar.telemetry.metrics import Metrics
from tests.fakes import core_bundles as bundles
from tests.fakes.core import Core

Client = TestClient  # type: ignore[type-arg]


class Port:
    def __init__(self, folder: Path, core: Core, **rules: Any) -> None:
        self.core = core
        self.store = RuleStore(core.clock, LocalTrust(), LastGood(folder), Probation(folder, "1"))
        if rules.pop("ready", True):
            self.store.offer_local(encode_bundle(bundles.bundle(**rules)))
        self.agents = AgentPort(
            pipeline=core.pipeline,
            counter=TokenCounter(core.pipeline, core.upstream),
            passthrough=PassThrough(core.pipeline, core.upstream),
            store=self.store,
            clock=core.clock,
            metrics=Metrics(),
            recent=core.recent,
            allowed_hosts=frozenset(),
            max_body_bytes=2_000,
        )

    async def __aenter__(self) -> Client:
        self.client = TestClient(TestServer(self.agents.app()))
        await self.client.start_server()
        return self.client

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
