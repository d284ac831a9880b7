"""One call's core: which targets are tried after which error, what is booked, and what is left open: nothing."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Ceiling, Retry, Rule, Share, Timeouts, When
from sidecar.accounting.books import MAX_FACT_CHARACTERS
from sidecar.core.call import CallFailed, PlainReply
from sidecar.core.pipeline import MAX_AGENT_CHARACTERS
from sidecar.core.refusals import error_headers, status_of
from sidecar.errors import (
    MalformedRequest,
    NotAllowed,
    StreamCut,
    UnknownTarget,
    UnknownUseCase,
    Unreachable,
    code_of,
)
from sidecar.routing.breaker import FIRST_REST_SECONDS
from sidecar.routing.conversations import IDLE_SECONDS, conversation_key
from sidecar.routing.facts import Facts
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import GOOD, STREAM, Core, lost, status
from tests.fakes.ports import PARK, Agent, Script, at_rest

ONE_CALL_USD = Decimal("0.0008")
"""What is reserved for one call fits, and beside what the call before it cost it does not."""


async def test_an_agent_that_gives_itself_an_endless_name_does_not_escape_the_books() -> None:
    core = Core()
    await core.run(headers={"x-pointsman-agent": "a" * 4000})
    assert core.sink.only.agent == "a" * MAX_AGENT_CHARACTERS


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"{", {}, MalformedRequest),
        (wire.request(model="nothing"), {}, UnknownUseCase),
        (wire.request(), {"x-pointsman-use-case": "nothing"}, UnknownUseCase),
        (wire.request(), {"x-pointsman-target": "nothing"}, UnknownTarget),
        (wire.request(), {"x-pointsman-target": "alpha@two"}, UnknownTarget),
    ],
)
async def test_a_call_that_cannot_be_placed_is_refused_before_anything_is_booked(
    body: bytes, headers: dict[str, str], error: type[Exception]
) -> None:
    core = Core()
    with pytest.raises(error):
        await core.run(body, headers=headers)
    assert core.sink.begun == core.sink.booked == []
    assert core.upstream.sent == []


async def test_a_pinned_call_goes_to_its_target_alone() -> None:
    core = Core(status(500))
    with pytest.raises(CallFailed):
        await core.run(headers={"x-pointsman-target": "beta"})
    assert set(core.upstream.models) == {"beta@two"}
    assert core.sink.only.attempts[0].reason == "pinned"


async def test_pinning_needs_a_caller_that_is_granted_it() -> None:
    caller = bundles.Caller(name="bot", key_sha256="00")
    core = Core(callers=(caller,))
    with pytest.raises(NotAllowed):
        await core.run(headers={"x-pointsman-target": "beta"}, caller=caller)


async def test_a_spent_ceiling_without_a_way_out_refuses_with_402() -> None:
    core = Core(ceiling=Ceiling(per_day=ONE_CALL_USD))
    await core.run()
    with pytest.raises(CallFailed) as failed:
        await core.run()
    assert (failed.value.error.status, failed.value.error.code) == (402, "ceiling_spent")
    assert len(core.upstream.sent) == 1
    assert [record.outcome for record in core.sink.booked] == ["ok", "ceiling_spent"]


async def test_while_every_target_rests_a_caller_is_told_when_to_come_back() -> None:
    core = Core(*[lost(Unreachable("down"))] * 5, chain=["alpha"], retry=Retry(max_attempts=1, same_target=0))
    for _ in range(5):
        with pytest.raises(CallFailed):
            await core.run()
    with pytest.raises(CallFailed) as failed:
        await core.run()
    assert code_of(failed.value.error) == failed.value.headers["x-pointsman-reason"] == "breaker_open"
    assert error_headers(failed.value.error) == {"retry-after": str(round(FIRST_REST_SECONDS * 1.2))}, (
        "the longest spread"
    )


async def test_while_every_target_rests_one_call_a_second_finds_out_whether_that_still_holds() -> None:
    core = Core(*[lost(Unreachable("down"))] * 5, GOOD, chain=["alpha"], retry=Retry(max_attempts=1, same_target=0))
    for _ in range(5):
        with pytest.raises(CallFailed):
            await core.run()
    await core.clock.turn(1.0)
    reply = await core.run()
    assert reply.headers["x-pointsman-reason"] == "last_resort"
    assert len(core.upstream.sent) == 6


async def test_the_caller_s_own_deadline_ends_the_call() -> None:
    core = Core(Script((PARK,)), chain=["alpha"])
    with pytest.raises(CallFailed) as failed:
        await core.pipeline.run(core.inbound(headers={"x-pointsman-deadline": "0.05"}))
    assert failed.value.error.status == 504
    assert "0.05 s" in failed.value.error.message
    assert core.sink.only.outcome == "deadline_exceeded"


PARKING: list[tuple[str, list[Script], bool]] = [
    ("plain", [GOOD], False),
    ("plain, second target", [lost(Unreachable("x")), GOOD], False),
    ("plain, after a refusal", [status(404), GOOD], False),
    ("stream", [STREAM], True),
    ("stream, second target", [Script((wire.OPENING,)), STREAM], True),
    ("stream that breaks", [Script((wire.CONTENT, StreamCut("cut")))], True),
]


@pytest.mark.parametrize("await_number", range(1, 13))
@pytest.mark.parametrize(("scripts", "streamed"), [row[1:] for row in PARKING], ids=[row[0] for row in PARKING])
async def test_a_caller_that_leaves_at_any_await_is_booked_once_and_nothing_stays_open(
    scripts: list[Script], streamed: bool, await_number: int
) -> None:
    core = Core(*scripts, park_at=await_number)

    async def call() -> None:
        reply = await core.pipeline.run(core.inbound(wire.request(stream=streamed)))
        if not isinstance(reply, PlainReply):
            await reply.pump(Agent().write)

    work = asyncio.ensure_future(call())
    await at_rest()
    if core.upstream.parked.is_set():
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        # A finish reason that was seen makes the answer whole, however its caller went.
        assert core.sink.only.outcome in ("client_closed", "ok")
        assert core.sink.only.usage is not None, "the provider may bill it"
    else:
        await core.clock.run_out(work)
        assert core.sink.only.outcome in ("ok", "stream_cut")
    core.assert_nothing_left_open()


async def test_a_timeout_and_a_caller_that_leaves_at_once_are_told_apart() -> None:
    core = Core(Script((PARK,)), GOOD, timeouts=Timeouts(deadline=0.05))
    work = asyncio.ensure_future(core.pipeline.run(core.inbound()))
    await at_rest()
    work.cancel("the caller left")
    with pytest.raises(asyncio.CancelledError):
        await work
    assert core.sink.only.outcome == "client_closed"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_bug_of_ours_is_booked_once_and_leaves_nothing_open(streamed: bool) -> None:
    core = Core(Script((wire.CONTENT, RuntimeError("a bug"))))
    call = core.stream() if streamed else core.run()
    with pytest.raises(RuntimeError, match="a bug"):
        await call
    assert core.sink.only.outcome == "gateway_error"
    core.assert_nothing_left_open()


async def test_money_of_a_call_that_failed_after_its_first_byte_counts_against_the_ceiling() -> None:
    core = Core(Script((wire.CONTENT, StreamCut("cut"))), ceiling=Ceiling(per_day=ONE_CALL_USD))
    await core.stream()
    with pytest.raises(CallFailed) as failed:
        await core.stream()
    assert failed.value.error.code == "ceiling_spent"


async def test_the_callers_own_key_goes_to_a_provider_that_takes_it_and_to_no_other() -> None:
    providers = {"one": bundles.provider(caller_key=True), "two": bundles.provider()}
    core = Core(status(500), GOOD, providers=providers, retry=Retry(max_attempts=4, same_target=0))
    await core.run(headers={"authorization": "Bearer callers-own", "x-api-key": "callers-other"})
    asked, fallback = core.upstream.sent
    assert (asked.headers["authorization"], asked.headers["x-api-key"]) == ("Bearer callers-own", "callers-other")
    assert "callers" not in str(fallback.headers)


def turns(*texts: str) -> bytes:
    """The user's turn, the answer, the user's turn, …"""
    messages = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]
    return wire.request(messages=messages)


async def test_a_conversation_that_had_to_move_stays_where_it_went() -> None:
    core = Core(lost(Unreachable("down")), GOOD, GOOD, GOOD, sticky=True)
    for body in (turns("Hi"), turns("Hi", "Hello", "And?"), turns("Ho")):
        await core.run(body)
    assert core.upstream.models == ["alpha@one", "beta@two", "beta@two", "alpha@one"]
    first, second, other = core.sink.booked
    assert [record.reason for record in core.sink.booked] == ["unreachable", "sticky", "primary"]
    assert first.conversation == second.conversation != other.conversation
    assert len(first.conversation) == 32


async def test_a_stream_s_conversation_stays_too_and_over_a_reload() -> None:
    core = Core(lost(Unreachable("down")), STREAM, STREAM, sticky=True)
    await core.stream(messages=[{"role": "user", "content": "Hi"}])
    core.snapshot = bundles.snapshot(sticky=True, revision="rev-2")
    await core.stream(messages=[{"role": "user", "content": "Hi"}])
    assert core.upstream.models == ["alpha@one", "beta@two", "beta@two"]


@pytest.mark.parametrize(
    ("rules", "seconds", "name", "expected"),
    [
        ({"sticky": True}, 0.0, "c-1", "beta@two"),
        ({"sticky": True}, IDLE_SECONDS + 1, "c-1", "alpha@one"),
        ({"sticky": True}, 0.0, "c-2", "alpha@one"),
        ({}, 0.0, "c-1", "alpha@one"),
    ],
)
async def test_the_header_names_the_conversation_whatever_is_said_in_it(
    rules: dict[str, Any], seconds: float, name: str, expected: str
) -> None:
    core = Core(lost(Unreachable("down")), GOOD, GOOD, **rules)
    await core.run(turns("Hi"), headers={"x-pointsman-conversation": "c-1"})
    await core.clock.turn(seconds)
    await core.run(turns("Else"), headers={"x-pointsman-conversation": name})
    assert core.upstream.models[-1] == expected


async def test_a_conversation_whose_target_fails_moves_on_and_stays_there() -> None:
    core = Core(lost(Unreachable("down")), GOOD, lost(Unreachable("down")), GOOD, GOOD, sticky=True)
    for _ in range(3):
        await core.run(turns("Hi"))
    assert core.upstream.models == ["alpha@one", "beta@two", "beta@two", "alpha@one", "alpha@one"]


HALF = Share(model="beta", percent=Decimal(50))


async def test_a_canary_answers_its_part_and_the_books_say_with_which_chance() -> None:
    core = Core(*[GOOD] * 20, canary=HALF, chain=["alpha"])
    for number in range(20):
        await core.run(headers={"x-pointsman-conversation": f"c-{number % 10}"})
    arms = [record.arm for record in core.sink.booked]
    assert set(arms) == {"alpha", "beta"}
    assert arms[:10] == arms[10:]
    assert arms == [record.model for record in core.sink.booked]
    assert {record.propensity for record in core.sink.booked} == {0.5}
    assert {(record.arm, record.reason) for record in core.sink.booked} == {("alpha", "primary"), ("beta", "canary")}
    assert all(number not in str(core.sink.booked) for number in ("c-1", "c-9"))


async def test_a_canary_that_fails_falls_back_to_the_chain_and_its_arm_is_told_all_the_same() -> None:
    core = Core(lost(Unreachable("down")), GOOD, canary=Share(model="beta", percent=Decimal(100)), chain=["alpha"])
    await core.run()
    record = core.sink.only
    assert core.upstream.models == ["beta@two", "alpha@one"]
    assert (record.arm, record.propensity, record.model, record.reason) == ("beta", 1.0, "alpha", "unreachable")
    assert [attempt.reason for attempt in record.attempts] == ["canary", "fallback"]


def test_calls_that_tell_nothing_of_a_conversation_draw_each_for_themselves() -> None:
    providers = {name: bundles.provider(dialect="openai-responses") for name in ("one", "two")}
    core = Core(providers=providers, canary=HALF, chain=["alpha"])
    body = b'{"model": "chat", "prompt": {"id": "pmpt_1"}}'
    plans = [core.pipeline.open(core.inbound(body, dialect="openai-responses")).plan for _ in range(20)]
    assert {plan.arm for plan in plans} == {"alpha", "beta"}
    assert len({plan.conversation for plan in plans}) == 20


async def test_explaining_facts_draws_the_lot_of_the_call_that_the_header_names() -> None:
    core = Core(*[GOOD] * 8, canary=HALF, chain=["alpha"])
    for number in range(8):
        await core.run(headers={"x-pointsman-conversation": f"c-{number}"})
        facts = Facts(conversation=conversation_key(named=f"c-{number}"))
        use_case = core.snapshot.use_cases["chat"]
        told = core.pipeline.plan_for(use_case, facts, datetime.fromtimestamp(core.clock.now(), UTC))
        assert (told.arm, told.steps[0].target.key) == (core.sink.booked[-1].arm, core.upstream.models[-1])


async def test_where_nothing_depends_on_conversations_none_is_looked_for_or_booked() -> None:
    core = Core()
    await core.run(headers={"x-pointsman-conversation": "c-1"})
    record = core.sink.only
    assert (record.conversation, record.arm, record.propensity) == ("", "", None)


async def test_what_the_rules_looked_at_is_booked_and_nothing_else_of_the_request() -> None:
    looks = When(header={"X-Plan": "gold", "Authorization": "Bearer *"}, metadata={"tier": "*", "note": "*"})
    core = Core(rules=(Rule(when=looks, chain=("beta",)),))
    metadata = {"tier": "gold", "name": "nobody's business", "note": "n" * (MAX_FACT_CHARACTERS + 1)}
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    body = wire.request(tools=[tool], metadata=metadata)
    await core.run(body, headers={"x-plan": "silver", "x-other": "private", "authorization": "Bearer secret"})
    facts = core.sink.only.facts
    assert facts is not None
    assert (facts.headers, facts.metadata, facts.needs) == ({"x-plan": "silver"}, {"tier": "gold"}, ("tools",))
    assert facts.input_tokens > 0


TOO_LONG = Script((b'{"error":{"message":"too long","code":"context_length_exceeded"}}',), status=400)
REFUSED = Script((b'{"error":{"message":"policy","code":"content_policy_violation"}}',), status=400)


async def test_a_context_that_is_too_long_is_not_sent_to_a_window_that_is_no_larger() -> None:
    models = {"alpha": bundles.model("one", "two"), "small": bundles.model("two", window=100), "large": LARGE}
    core = Core(TOO_LONG, GOOD, models=models, chain=["alpha", "small", "large"])
    await core.run()
    assert core.upstream.models == ["alpha@one", "large@two"]
    assert core.sink.only.reason == "context_too_long"


async def test_a_context_that_is_too_long_for_all_ends_with_what_the_provider_said() -> None:
    core = Core(TOO_LONG)
    with pytest.raises(CallFailed) as failed:
        await core.run()
    assert core.upstream.models == ["alpha@one"]
    assert (code_of(failed.value.error), status_of(failed.value.error)) == ("context_too_long", 400)
    assert "beta@two: context_window" in failed.value.error.message


LARGE = bundles.model("two", window=400_000)


@pytest.mark.parametrize(
    ("rules", "scripts", "models"),
    [
        ({}, [REFUSED], ["alpha@one"]),
        ({"on_refusal": "fallback"}, [REFUSED, GOOD], ["alpha@one", "beta@two"]),
        ({"on_refusal": "fallback"}, [REFUSED, REFUSED], ["alpha@one", "beta@two"]),
        ({"on_refusal": "fallback"}, [status(422), GOOD], ["alpha@one"]),
    ],
)
async def test_a_refused_content_goes_on_where_the_use_case_says_so(
    rules: dict[str, Any], scripts: list[Script], models: list[str]
) -> None:
    core = Core(*scripts, **rules)
    if scripts[-1] is GOOD and len(models) == 2:
        await core.run()
        assert core.sink.only.reason == "content_refused"
    else:
        with pytest.raises(CallFailed) as failed:
            await core.run()
        assert failed.value.error.status in (400, 422)
    assert core.upstream.models == models
