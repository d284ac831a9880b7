"""A call of another dialect that a Bedrock target answers: the path it goes by, and what the caller gets."""

import json
from typing import Any

import pytest

from sidecar.core.call import PlainReply
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import Core
from tests.fakes.eventstream import pack
from tests.fakes.ports import Script

NAME = "one-name"
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 10, "outputTokens": 2, "totalTokens": 12},
}
STREAM = pack(
    'messageStart {"role":"assistant"}\n'
    'contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"Hi"}}\n'
    'contentBlockStop {"contentBlockIndex":0}\n'
    'messageStop {"stopReason":"end_turn"}\n'
    'metadata {"usage":{"inputTokens":10,"outputTokens":2,"totalTokens":12}}\n'
)


def core(*scripts: Script) -> Core:
    """`alpha` at a Bedrock provider, which calls it `one-name`."""
    providers = {"one": bundles.provider(dialect="bedrock")}
    return Core(*scripts, providers=providers, models={"alpha": bundles.model("one")}, chain=("alpha",))


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_a_plain_answer_bears_the_calls_id_and_the_models_name_where_converse_names_none(dialect: str) -> None:
    called = core(Script((json.dumps(ANSWER).encode(),)))
    reply = await called.run(wire.request(), dialect=dialect)
    assert isinstance(reply, PlainReply)
    answer: dict[str, Any] = json.loads(reply.body)
    assert (answer["id"], answer["model"]) == ("pm-1", NAME)
    assert called.upstream.sent[0].path == f"/model/{NAME}/converse"
    assert json.loads(called.upstream.sent[0].body)["messages"] == [{"role": "user", "content": [{"text": "Hello"}]}]
    assert reply.headers["x-pointsman-cost-usd"] == "0.00006"  # 10 × 3 + 2 × 15 US dollars per million


async def test_a_stream_of_frames_becomes_the_callers_own() -> None:
    called = core(Script((STREAM[:70], STREAM[70:])))
    sent = (await called.stream()).decode()
    assert called.upstream.sent[0].path.endswith("/converse-stream")
    chunks = [json.loads(line.removeprefix("data: ")) for line in sent.split("\n\n") if line.startswith("data: {")]
    assert {(chunk["id"], chunk["model"]) for chunk in chunks} == {("pm-1", NAME)}
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"]) == "Hi"
    assert sent.endswith("data: [DONE]\n\n")
    record = called.sink.only
    assert (record.outcome, record.usage.input_tokens, record.usage.output_tokens) == ("ok", 10, 2)
    called.assert_nothing_left_open()
