"""A plain-text stream that breaks goes on at another target as the same answer, and only where that can be right."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.bundle import DialectName, Retry
from sidecar.canonical.events import collect
from sidecar.canonical.request import Text
from sidecar.dialects.base import InPath
from sidecar.dialects.registry import DIALECTS
from sidecar.errors import StreamCut, Unreachable
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import Core
from tests.fakes.ports import Agent, Script

PREFILL = (*bundles.ANYTHING, "prefill")
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def piece(text: str) -> bytes:
    return wire.chat_chunk({"content": text})


CUT = Script((wire.OPENING, piece("The train "), piece("leaves "), StreamCut("reset")))
REST = Script((wire.OPENING, piece(" at noon."), wire.FINISH, wire.USAGE, wire.DONE))


def core(*scripts: Script, able: bool = True, **rules: Any) -> Core:
    capabilities = PREFILL if able else bundles.ANYTHING
    models = {"alpha": bundles.model("one"), "beta": bundles.model("two", capabilities=capabilities)}
    return Core(*scripts, models=models, resume=True, **rules)


def text_of(got: bytes) -> str:
    chunks = [json.loads(line[6:]) for line in got.split(b"\n\n") if line.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


async def test_the_caller_reads_one_answer_and_the_record_says_where_each_half_came_from() -> None:
    here = core(CUT, REST)
    got = await here.stream()
    assert text_of(got) == "The train leaves at noon."
    assert got.endswith(wire.DONE)
    assert got.count(b'"finish_reason":"stop"') == 1
    assert {json.loads(line[6:])["id"] for line in got.split(b"\n\n") if line.startswith(b"data: {")} == {"c1"}
    assert json.loads(here.upstream.sent[1].body)["messages"][-1] == {
        "role": "assistant",
        "content": "The train leaves",
    }
    record = here.sink.only
    assert [(attempt.model, attempt.reason, attempt.outcome) for attempt in record.attempts] == [
        ("alpha", "primary", "stream_cut"),
        ("beta", "resume", "ok"),
    ]
    assert (record.outcome, record.model) == ("ok", "beta")
    assert record.attempts[0].usage is not None
    assert record.attempts[0].usage.output_tokens == 3, "about one token per event"
    assert record.wasted_usd == record.attempts[0].cost_usd
    here.assert_nothing_left_open()


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini", "openai-responses"])
async def test_in_every_dialect_it_stays_one_answer(dialect: DialectName) -> None:
    bodies: dict[str, Any] = {
        "openai": {"messages": wire.MESSAGES},
        "anthropic": {"messages": wire.MESSAGES, "max_tokens": 50},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
        "openai-responses": {"input": "Hello"},
    }
    here = core(CUT, REST)
    spoken = DIALECTS[dialect]
    body = json.dumps({"model": "chat", "stream": True, **bodies[dialect]}).encode()
    inbound = here.inbound(body, dialect=dialect)
    if dialect == "gemini":
        body = json.dumps(bodies[dialect]).encode()
        inbound = replace(inbound, body=body, in_path=InPath("chat", True, "streamGenerateContent"))
    agent = Agent()
    reply = await here.pipeline.run(inbound)
    await reply.pump(agent.write)  # type: ignore[union-attr]
    decoder = spoken.new_decoder()
    events = [*decoder.feed(agent.bytes), *decoder.finish()]
    (choice,) = collect(events).choices
    assert "".join(part.text for part in choice.parts if isinstance(part, Text)) == "The train leaves at noon."
    assert here.sink.only.outcome == "ok"


@pytest.mark.parametrize(
    ("why", "first", "request_", "rules"),
    [
        ("tools", CUT, {"tools": TOOLS}, {}),
        ("nobody who continues", CUT, {}, {"able": False}),
        ("no attempt left", CUT, {}, {"retry": Retry(max_attempts=1, same_target=0)}),
        (
            "a tool call inside",
            Script(
                (
                    wire.OPENING,
                    piece("Hm."),
                    wire.chat_chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}),
                    StreamCut("reset"),
                )
            ),
            {},
            {},
        ),
    ],
)
async def test_where_it_cannot_be_right_the_stream_ends_with_an_error(
    why: str, first: Script, request_: dict[str, Any], rules: dict[str, Any]
) -> None:
    here = core(first, REST, **rules)
    got = await here.stream(**request_)
    assert here.upstream.models == ["alpha@one"], why
    assert b'"error"' in got
    assert not got.endswith(wire.DONE)
    assert here.sink.only.outcome == "stream_cut"
    here.assert_nothing_left_open()


async def test_without_the_rule_nothing_is_continued() -> None:
    here = Core(CUT, REST, models={"alpha": bundles.model("one"), "beta": bundles.model("two", capabilities=PREFILL)})
    assert b'"error"' in await here.stream()
    assert here.upstream.models == ["alpha@one"]


async def test_a_target_that_cannot_go_on_leaves_it_to_the_next_and_the_first_error_stands() -> None:
    here = core(CUT, Script(refusal=Unreachable("down")))
    got = await here.stream()
    assert text_of(got) == "The train leaves "
    assert b'"error"' in got
    record = here.sink.only
    assert record.outcome == "stream_cut"
    assert [(attempt.model, attempt.outcome) for attempt in record.attempts] == [
        ("beta", "unreachable"),
        ("alpha", "stream_cut"),
    ]


async def test_an_answer_that_breaks_twice_goes_on_twice() -> None:
    second = Script((wire.OPENING, piece(" at"), StreamCut("reset")))
    last = Script((wire.OPENING, piece(" noon."), wire.FINISH, wire.USAGE, wire.DONE))
    here = core(CUT, second, last)
    assert text_of(await here.stream()) == "The train leaves at noon."
    assert [attempt.outcome for attempt in here.sink.only.attempts] == ["stream_cut", "stream_cut", "ok"]
    here.assert_nothing_left_open()


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        (" at noon.", "The train leaves at noon."),
        ("at noon.", "The train leaves at noon."),
        ("\nat noon.", "The train leaves \nat noon."),
    ],
)
async def test_white_space_at_the_seam_is_neither_lost_nor_doubled(rest: str, text: str) -> None:
    here = core(CUT, Script((wire.OPENING, piece(rest), wire.FINISH, wire.USAGE, wire.DONE)))
    assert text_of(await here.stream()) == text
