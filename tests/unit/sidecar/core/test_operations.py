"""Operations beside chat run through the same pipeline, and differ only in what their value says."""

import base64
import json
import struct
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.bundle import Ceiling, DialectName
from schemas.record import Usage
from sidecar.core.call import CallFailed, PlainReply
from sidecar.core.operations import CHAT, EMBEDDINGS
from sidecar.core.refusals import status_of
from sidecar.dialects.base import InPath
from sidecar.dialects.embeddings import EMBEDDINGS_DIALECTS, GEMINI_ONE
from sidecar.errors import Throttled, UnknownTarget, code_of
from sidecar.routing.scope import EMBEDDING_DIALECTS
from tests.fakes import core_bundles as bundles
from tests.fakes.core import Core
from tests.fakes.ports import Script

OPENAI_ANSWER = b'{"data":[{"index":0,"embedding":[0.1,2]}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}'
GEMINI_ANSWER = b'{"embeddings":[{"values":[0.1,2]}]}'
REQUEST = b'{"model":"chat","input":"One text"}'


def embedding_core(*scripts: Script, chain: tuple[str, ...] = ("alpha", "beta"), **rules: Any) -> Core:
    """`alpha` at an OpenAI-style and a Google door, `beta` at another."""
    providers = {
        "one": bundles.provider(),
        "two": bundles.provider(dialect="gemini"),
        "three": bundles.provider(),
        "four": bundles.provider(dialect="anthropic"),
    }
    models = {
        "alpha": bundles.model("one", "two", "four", capabilities=("embeddings",)),
        "beta": bundles.model("three", vendor="other", capabilities=("embeddings",)),
    }
    return Core(*scripts, chain=chain, providers=providers, models=models, **rules)


async def embed(core: Core, body: bytes = REQUEST, dialect: DialectName = "openai", **more: Any) -> PlainReply:
    inbound = replace(
        core.inbound(body, **more), dialect=EMBEDDINGS_DIALECTS[dialect], operation=EMBEDDINGS, in_path=InPath("chat")
    )
    reply = await core.pipeline.run(inbound)
    assert isinstance(reply, PlainReply)
    return reply


def test_routing_knows_the_dialects_that_have_embeddings() -> None:
    assert set(EMBEDDINGS_DIALECTS) == EMBEDDING_DIALECTS


async def test_an_answer_in_the_callers_dialect_is_not_touched() -> None:
    core = embedding_core(Script((OPENAI_ANSWER,)))
    reply = await embed(core)
    assert reply.body == OPENAI_ANSWER
    assert core.sink.only.usage == Usage(input_tokens=5)
    assert core.sink.only.cost_usd == Decimal("0.000015")  # 5 × 3 US dollars per million
    core.assert_nothing_left_open()


async def test_the_next_door_of_the_model_is_asked_in_its_own_dialect() -> None:
    core = embedding_core(Script(refusal=Throttled("429")), Script((GEMINI_ANSWER,)))
    reply = await embed(core, b'{"model":"chat","input":"One text","encoding_format":"base64"}')
    assert core.upstream.models == ["alpha@one", "alpha@two"]
    assert core.upstream.sent[1].path == "/v1beta/models/two-name:batchEmbedContents"
    (entry,) = json.loads(reply.body)["data"]
    assert struct.unpack("<2f", base64.b64decode(entry["embedding"])) == struct.unpack(
        "<2f", struct.pack("<2f", 0.1, 2)
    )


async def test_what_a_provider_does_not_count_is_booked_as_an_estimate() -> None:
    core = embedding_core(Script(refusal=Throttled("429")), Script((GEMINI_ANSWER,)))
    reply = await embed(core)
    record = core.sink.only
    assert record.estimated
    assert record.usage == Usage(input_tokens=3)  # ten bytes by four
    assert json.loads(reply.body)["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


async def test_a_method_that_targets_are_not_asked_in_passes_through_all_the_same() -> None:
    core = embedding_core(Script(refusal=Throttled("429")), Script((b'{"embedding":{"values":[1]}}',)))
    body = b'{"content":{"parts":[{"text":"One"}]}}'
    inbound = replace(core.inbound(body), dialect=GEMINI_ONE, operation=EMBEDDINGS, in_path=InPath("chat"))
    reply = await core.pipeline.run(inbound)
    assert isinstance(reply, PlainReply)
    assert core.upstream.sent[1].path == "/v1beta/models/two-name:embedContent"
    assert (core.upstream.sent[1].body, reply.body) == (body, b'{"embedding":{"values":[1]}}')


async def test_when_every_door_fails_no_other_model_is_asked() -> None:
    core = embedding_core(Script(refusal=Throttled("429")))
    with pytest.raises(CallFailed):
        await embed(core)
    assert core.upstream.models == ["alpha@one", "alpha@two"]


async def test_a_spent_ceiling_does_not_move_vectors_to_another_space() -> None:
    core = embedding_core(Script((OPENAI_ANSWER,)), ceiling=Ceiling(per_day=Decimal("0.00001"), then=("beta",)))
    await embed(core)
    with pytest.raises(CallFailed) as refused:
        await embed(core)
    assert (code_of(refused.value.error), status_of(refused.value.error)) == ("ceiling_spent", 402)
    assert "cost_ceiling.per_day" in refused.value.error.message
    assert core.upstream.models == ["alpha@one"]


async def test_a_pin_names_a_target_that_has_the_operation() -> None:
    core = embedding_core(Script((OPENAI_ANSWER,)))
    with pytest.raises(UnknownTarget, match=r"anthropic.* has no such kind of call"):
        await embed(core, headers={"x-pointsman-target": "alpha@four"})
    await embed(core, headers={"x-pointsman-target": "beta"})
    assert core.upstream.models == ["beta@three"]


async def test_chat_keeps_every_target() -> None:
    use_case = embedding_core().snapshot.use_cases["chat"]
    assert CHAT.scope(use_case) is use_case
