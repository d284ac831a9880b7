"""What somebody says of an answer later: refused where it is none, on disk once taken, heard by the rolling bar."""

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.bundle import Caller, QualityBar
from sidecar.core.feedback import PER_MINUTE
from sidecar.limits.gcra import BURST_SECONDS
from tests.fakes import core_wire as wire
from tests.fakes.agent_port import Client, Port
from tests.fakes.core import STREAM, Core

CALL, FEEDBACK = "/v1/chat/completions", "/v1/feedback"
UNKNOWN = "pm-" + "0" * 27
BAR = QualityBar(min_score=Decimal("0.8"), then=("beta",))


async def an_answer(client: Client, **headers: str) -> str:
    answer = await client.post(CALL, data=wire.request(), headers=headers)
    return str(answer.headers["x-pointsman-request-id"])


async def say(client: Client, call: str, score: object, key: str = "", **more: object) -> int:
    said = {"request_id": call, "score": score, **more}
    answer = await client.post(FEEDBACK, json=said, headers={"x-api-key": key} if key else {})
    return int(answer.status)


@pytest.mark.parametrize(
    ("said", "because"),
    [
        ({"request_id": UNKNOWN}, "score"),
        ({"request_id": UNKNOWN, "score": 1.01}, "from 0 to 1"),
        ({"request_id": UNKNOWN, "score": -1}, "from 0 to 1"),
        ({"request_id": UNKNOWN, "score": "good"}, "score"),
        ({"request_id": UNKNOWN, "score": 1, "kind": "robot"}, "robot"),
        ({"request_id": UNKNOWN, "score": 1, "comment": "wrong"}, "no text is kept here"),
        ({"request_id": "chatcmpl-1", "score": 1}, "x-pointsman-request-id"),
        ([], "object"),
    ],
)
async def test_what_is_no_feedback_is_refused_with_what_would_be_right(
    tmp_path: Path, said: object, because: str
) -> None:
    core = Core()
    async with Port(tmp_path, core) as client:
        answer = await client.post(FEEDBACK, json=said)
        error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (400, "malformed_request")
    assert because in error["message"]
    assert core.sink.heard == []


@pytest.mark.parametrize(("given", "score"), [(True, 1.0), (False, 0.0), (0, 0.0), (0.25, 0.25), (1, 1.0)])
async def test_it_is_on_its_way_to_the_ledger_when_202_is_said(tmp_path: Path, given: object, score: float) -> None:
    core = Core()
    async with Port(tmp_path, core) as client:
        call = await an_answer(client)
        answer = await client.post(
            FEEDBACK, json={"request_id": call, "score": given, "kind": "judge"}, headers={"x-pointsman-agent": "bot"}
        )
        shown = (await (await client.get(f"/pointsman/calls/{call}")).json())["feedback"]
    (heard,) = core.sink.heard
    assert answer.status == 202
    assert (heard.call, heard.score, heard.kind, heard.source) == (call, score, "judge", "bot")
    assert [(one["score"], one["kind"], one["source"]) for one in shown] == [(score, "judge", "bot")]


async def test_a_call_that_this_sidecar_does_not_know_may_be_in_the_ledger(tmp_path: Path) -> None:
    core = Core()
    async with Port(tmp_path, core) as client:
        assert await say(client, UNKNOWN, 1) == 202
    assert [one.call for one in core.sink.heard] == [UNKNOWN]


async def test_the_latest_word_is_shown_and_all_of_them_are_shipped(tmp_path: Path) -> None:
    core = Core()
    async with Port(tmp_path, core) as client:
        call = await an_answer(client)
        for score in (1, 0):
            await say(client, call, score)
        await say(client, call, 0.5, kind="judge")
        shown = (await (await client.get(f"/pointsman/calls/{call}")).json())["feedback"]
    assert [(one.get("kind", "user"), one["score"]) for one in shown] == [("user", 0.0), ("judge", 0.5)]
    assert len(core.sink.heard) == 3


async def test_a_key_grades_its_own_calls_and_one_that_may_pin_those_of_all(tmp_path: Path) -> None:
    callers = tuple(
        Caller(name=name, key_sha256=hashlib.sha256(name.encode()).hexdigest(), pin=name == "grader")
        for name in ("a", "b", "grader")
    )
    core = Core()
    async with Port(tmp_path, core, callers=callers) as client:
        call = await an_answer(client, **{"x-api-key": "a"})
        assert await say(client, call, 1) == 401
        assert [await say(client, call, 1, key) for key in ("a", "b", "grader")] == [202, 403, 202]
    assert [one.source for one in core.sink.heard] == ["a", "grader"]


async def test_a_flood_is_told_when_to_come_again(tmp_path: Path) -> None:
    core = Core()
    burst = int(PER_MINUTE / 60 * BURST_SECONDS)
    core.pipeline.feedback._rate.take(burst, core.clock.monotonic())
    async with Port(tmp_path, core) as client:
        answer = await client.post(FEEDBACK, json={"request_id": UNKNOWN, "score": 1})
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


async def scored(folder: Path, *scores: Any, bar: QualityBar = BAR) -> Core:
    """A model that gets these scores, each for a call of its own."""
    core = Core(bar=bar)
    async with Port(folder, core, bar=bar) as client:
        for score in scores:
            await say(client, await an_answer(client), score)
    return core


async def test_a_model_whose_feedback_falls_below_the_bar_gives_way(tmp_path: Path) -> None:
    core = await scored(tmp_path, *[False] * 12)
    assert core.pipeline.books.quality.all_fallen() == [("chat", "alpha")]
    assert [record.quality for record in core.sink.booked] == [{}] * 12, "no check was asked for"
    core.upstream.sent.clear()
    replies = [await core.run() for _ in range(10)]
    assert "quality_bar.rolling" in {reply.headers["x-pointsman-reason"] for reply in replies}
    assert "beta@two" in core.upstream.models


async def test_good_feedback_is_no_cure_for_failed_checks(tmp_path: Path) -> None:
    core = Core(bar=(bar := QualityBar(checks=("json_valid",), min_score=Decimal("0.8"))))
    asked = wire.request(response_format={"type": "json_object"})
    async with Port(tmp_path, core, bar=bar) as client:
        for _ in range(12):
            answer = await client.post(CALL, data=asked)
            await say(client, answer.headers["x-pointsman-request-id"], 1)
    assert core.pipeline.books.quality.all_fallen() == [("chat", "alpha")]


@pytest.mark.parametrize("bar", [QualityBar(checks=("complete",)), BAR])
async def test_what_is_repeated_or_not_asked_for_moves_no_bar(tmp_path: Path, bar: QualityBar) -> None:
    core = Core(bar=bar)
    async with Port(tmp_path, core, bar=bar) as client:
        call = await an_answer(client)
        for _ in range(30):
            await say(client, call, 0)
    assert core.pipeline.books.quality.all_fallen() == []


async def test_without_checks_answers_are_not_looked_at() -> None:
    bar = QualityBar(min_score=Decimal("0.8"), reject=True)
    plain, streamed = Core(bar=bar), Core(STREAM, bar=bar)
    await plain.run()
    assert (await streamed.stream()).endswith(wire.DONE)
    assert [core.sink.only.quality for core in (plain, streamed)] == [{}, {}]
