"""A provider's stream that ends after any of its bytes: never half an answer that looks whole, in any dialect."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.bundle import DialectName
from sidecar.canonical.events import Ended, Failed, Finished
from sidecar.dialects.base import InPath
from sidecar.dialects.registry import DIALECTS
from sidecar.errors import MalformedAnswer, StreamCut
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import STREAM, Core
from tests.fakes.eventstream import wire_of
from tests.fakes.ports import Agent, Script

GOLDEN = Path(__file__).parents[1] / "golden" / "streams"
CALLERS: tuple[DialectName, ...] = ("openai", "openai-responses", "anthropic", "gemini")
PROVIDERS: tuple[DialectName, ...] = (*CALLERS, "bedrock")
SAID: dict[str, dict[str, Any]] = {
    "openai": {"messages": wire.MESSAGES},
    "openai-responses": {"input": "Hello"},
    "anthropic": {"messages": wire.MESSAGES, "max_tokens": 50},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
}
CUTS = 90
"""In one stream, spread evenly; which bytes they fall on differs from pair to pair."""


def transcript(provider: str, case: str) -> bytes:
    return wire_of(next(path for path in (GOLDEN / provider).glob(f"{case}*") if path.name.count(".") == 1))


def pieces_of(data: bytes, cut: int) -> Script:
    return Script((data[:cut], StreamCut("reset")) if cut % 2 else (data[:cut],))


async def heard(provider: DialectName, caller: DialectName, script: Script) -> tuple[Core, bytes]:
    providers = {"one": bundles.provider(dialect=provider), "two": bundles.provider()}
    core = Core(script, STREAM, providers=providers)
    stream = {} if caller == "gemini" else {"model": "chat", "stream": True}
    inbound = core.inbound(json.dumps({**stream, **SAID[caller]}).encode(), dialect=caller)
    if caller == "gemini":
        inbound = replace(inbound, in_path=InPath("chat", True, "streamGenerateContent"))
    agent = Agent()

    async def call() -> None:
        reply = await core.pipeline.run(inbound)
        await reply.pump(agent.write)  # type: ignore[union-attr]

    await core.clock.run_out(asyncio.ensure_future(call()))
    return core, agent.bytes


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("case", ["text", "tool_call"])
async def test_a_stream_cut_anywhere_is_answered_elsewhere_or_ends_with_an_error(
    provider: DialectName, caller: DialectName, case: str
) -> None:
    data = transcript(provider, case)
    endings = set()
    for number in range(CUTS):
        cut = len(data) * number // CUTS
        core, got = await heard(provider, caller, pieces_of(data, cut))
        decoder = DIALECTS[caller].new_decoder()
        events = [*decoder.feed(got), *decoder.finish()]
        record = core.sink.only
        if record.outcome == "ok":
            assert any(isinstance(event, Finished) for event in events), (cut, got)
            assert isinstance(events[-1], Ended), (cut, got)
        else:
            assert record.outcome == "stream_cut", (cut, record.outcome)
            assert isinstance(events[-1], Failed), (cut, got)
            assert not isinstance(events[-1].error, StreamCut | MalformedAnswer), "said aloud, not merely broken off"
            assert not any(isinstance(event, Finished | Ended) for event in events), (cut, got)
        assert len(core.upstream.sent) == (1 if record.attempts[0].model == record.model else 2)
        core.assert_nothing_left_open()
        endings.add((record.outcome, record.model))
    assert {("ok", "beta"), ("stream_cut", "alpha"), ("ok", "alpha")} >= endings >= {("ok", "beta")}
    assert ("stream_cut", "alpha") in endings
