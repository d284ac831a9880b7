"""One call's core with every port faked: what goes in is a body, what comes out is a reply and one record."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.bundle import Caller, DialectName
from sidecar.core.call import Inbound, PlainReply, StreamReply
from sidecar.core.pipeline import Pipeline
from sidecar.core.shadows import Shadows
from sidecar.dialects.registry import DIALECTS
from sidecar.errors import UpstreamError
from sidecar.limiter.limits import Limits
from sidecar.routing.snapshot import Snapshot
from sidecar.telemetry.recent import RecentCalls
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.ports import Agent, HandClock, KeepingSink, Script, ScriptedUpstream

GOOD = Script((wire.chat_answer(),))
STREAM = Script(wire.STREAM)


def status(code: int, message: str = "no") -> Script:
    """A provider's refusal."""
    return Script((b'{"error":{"message":"%b"}}' % message.encode(),), status=code)


def lost(error: UpstreamError) -> Script:
    """No answer at all."""
    return Script(refusal=error)


class Core:
    def __init__(
        self,
        *scripts: Script,
        park_at: int | None = None,
        snapshot: Snapshot | None = None,
        shadow_scripts: Sequence[Script] = (),
        **rules: Any,
    ) -> None:
        self.clock = HandClock()
        self.upstream = ScriptedUpstream(*(scripts or (Script((wire.chat_answer(),)),)), park_at=park_at)
        self.sink = KeepingSink()
        self.snapshot = snapshot or bundles.snapshot(**rules)
        self.recent = RecentCalls()
        limits = Limits(clock=self.clock, observer=self.sink)
        self.shadow_upstream = ScriptedUpstream(*(shadow_scripts or (Script((wire.chat_answer(),)),)))
        self.shadows = Shadows(
            sidecar="s-1",
            clock=self.clock,
            upstream=self.shadow_upstream,
            sink=self.sink,
            limits=limits,
            observer=self.sink,
        )
        self.pipeline = Pipeline(
            sidecar="s-1",
            clock=self.clock,
            upstream=self.upstream,
            sink=self.sink,
            observers=(self.sink, self.recent),
            limits=limits,
            shadows=self.shadows,
        )
        self._ids = itertools.count(1)

    def inbound(
        self,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        caller: Caller | None = None,
        dialect: DialectName = "openai",
    ) -> Inbound:
        body = wire.request() if body is None else body
        now, started = self.clock.now(), self.clock.monotonic()
        return Inbound(
            f"pm-{next(self._ids)}", DIALECTS[dialect], body, headers or {}, self.snapshot, caller, now, started
        )

    async def run(self, body: bytes | None = None, **inbound: Any) -> PlainReply | StreamReply:
        """The reply, with every wait of the call turned away."""
        return await self.clock.run_out(asyncio.ensure_future(self.pipeline.run(self.inbound(body, **inbound))))

    async def stream(self, agent: Agent | None = None, **request: Any) -> bytes:
        """A streamed call to its end; what the caller got."""
        agent = agent or Agent()

        async def call() -> None:
            reply = await self.pipeline.run(self.inbound(wire.request(stream=True, **request)))
            await reply.pump(agent.write)  # type: ignore[union-attr]

        await self.clock.run_out(asyncio.ensure_future(call()))
        return agent.bytes

    def assert_nothing_left_open(self) -> None:
        """Every answer of every provider was closed, once."""
        assert [answer.times_closed for answer in self.upstream.answers] == [1] * len(self.upstream.answers)
