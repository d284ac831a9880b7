"""The agents' port on a free port of its own, over a core whose every port is faked."""

from pathlib import Path
from typing import Any

from aiohttp.test_utils import BaseTestServer, TestClient
from aiohttp.web import BaseRunner
from yarl import URL

from schemas.bundle import encode_bundle
from sidecar.core.counting import TokenCounter
from sidecar.rules.cache import LastGood
from sidecar.rules.probation import Probation
from sidecar.rules.store import RuleStore
from sidecar.rules.trust import LocalTrust
from sidecar.server.agents import AgentPort
from sidecar.server.listening import Listener
from sidecar.server.passthrough import PassThrough
from sidecar.settings import Address
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
        self.listener = Listener(self.agents, core.clock)

    async def __aenter__(self) -> Client:
        self.client = TestClient(_Server(self.listener))
        await self.client.start_server()
        return self.client

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()


class _Server(BaseTestServer):
    """For aiohttp's `TestClient`: it listens as a sidecar does."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(scheme="http")
        self._listener = listener

    async def start_server(self, *_: object, **__: object) -> None:
        at = await self._listener.listen(Address("127.0.0.1", 0))
        self._root, self.port = URL(f"http://{at}"), at.port

    async def _make_runner(self, **_: object) -> BaseRunner:
        raise NotImplementedError("a listener has its own")

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._listener.close()
