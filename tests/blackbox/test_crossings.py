"""Both official SDKs against providers of both dialects: what an agent hears is right, and so is what is booked."""

import json
from decimal import Decimal

import pytest

from schemas.record import Usage
from tests.blackbox.agents import Heard
from tests.blackbox.conftest import PRICES, PROVIDER_KEY, Crossing
from tests.fakes.processes import eventually

QUESTION = "Where is the station?"


def by_hand(side: str, usage: Usage) -> Decimal:
    """Tokens times the price per million, written out, each token once."""
    price = PRICES[side]
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    read, write = price.cache_read, price.input if price.cache_write is None else price.cache_write
    assert read is not None
    dollars = fresh * price.input + usage.cache_read_tokens * read + usage.cache_write_tokens * write
    return (dollars + usage.output_tokens * price.output) / 1_000_000


def ask(crossing: Crossing, how: str, question: str, wish: str) -> Heard:
    method = crossing.agent.plain if how == "plain" else crossing.agent.streamed
    return method(crossing.use_case, question, wish)


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_text(crossing: Crossing, how: str) -> None:
    heard = ask(crossing, how, QUESTION, "text")
    upstream_name = {"openai": "o-1", "anthropic": "a-1"}[crossing.side]
    assert heard.text == f'Simulated answer of {upstream_name} at alpha to: "{QUESTION}"'
    assert heard.finish == "done"


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_a_tool_is_called_and_its_result_is_read(crossing: Crossing, how: str) -> None:
    question = "What does the weather tool say?"
    asked = ask(crossing, how, question, "tool")
    assert asked.finish == "tools"
    (call,) = asked.calls
    assert call.name == "weather"
    assert set(call.arguments) == {"city", "days"}
    told = crossing.agent.answer_tools(crossing.use_case, question, asked, "rain at noon", stream=how == "streamed")
    assert told.finish == "done"
    assert told.text.endswith("The tool says: rain at noon")


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_structured_output_parses(crossing: Crossing, how: str) -> None:
    heard = ask(crossing, how, QUESTION, "schema")
    assert set(json.loads(heard.text)) == {"city", "days"}
    assert heard.finish == "done"


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_an_image_arrives(crossing: Crossing, how: str) -> None:
    assert "with 1 image:" in ask(crossing, how, QUESTION, "image").text


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_reasoning_is_heard_and_counted(crossing: Crossing, how: str) -> None:
    heard = ask(crossing, how, QUESTION, "reasoning")
    assert heard.reasoning.startswith("Simulated reasoning")
    assert QUESTION in heard.text
    assert 0 < heard.usage.reasoning_tokens < heard.usage.output_tokens


@pytest.mark.parametrize("wish", ["text", "tool", "schema", "image", "reasoning"])
def test_money_is_the_same_plain_and_streamed_and_by_hand(crossing: Crossing, wish: str) -> None:
    question = "Use the weather tool."
    plain = ask(crossing, "plain", question, wish)
    billed = crossing.billed()
    streamed = ask(crossing, "streamed", question, wish)
    assert plain.usage == streamed.usage == billed == crossing.billed()
    assert plain.cost_usd == streamed.cost_usd == by_hand(crossing.side, billed)
    for heard in (plain, streamed):
        record = crossing.record(heard.request_id)
        assert (record.outcome, record.status) == ("ok", 200)
        assert (record.usage, record.cost_usd, record.estimated) == (billed, heard.cost_usd, False)


def test_cached_input_is_paid_at_its_own_price(crossing: Crossing) -> None:
    """OpenAI caches long prompts by itself; Anthropic what carries a mark, which crosses dialects."""
    part = {"type": "text", "text": f"{crossing.agent.dialect} " + "The timetable has many pages. " * 250}
    marked = part | {"cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "content": [marked, {"type": "text", "text": QUESTION}]}]
    for turn in range(3):
        method = crossing.agent.streamed if turn == 2 else crossing.agent.plain
        heard = method(crossing.use_case, QUESTION, messages=messages)
        billed = crossing.billed()
        assert heard.usage == billed
        assert heard.cost_usd == by_hand(crossing.side, billed)
        assert (billed.cache_read_tokens > 1000) is (turn > 0)


def test_a_caller_that_leaves_ends_the_providers_work(crossing: Crossing) -> None:
    crossing.simulator.fault({"stall": 2})
    call_id, text = crossing.agent.leave_early(crossing.use_case, QUESTION)
    assert text.startswith("Sim")
    record = crossing.record(call_id)
    assert record.outcome == "client_closed"
    assert record.estimated
    assert record.usage is not None
    assert record.usage.input_tokens > 0
    assert record.usage.output_tokens > 1
    assert record.cost_usd == by_hand(crossing.side, record.usage)
    entry = eventually(lambda: next((e for e in crossing.simulator.entries() if e["ended"] is not None), None))
    assert entry["client_left"]
    assert entry["pointsman_request_id"].startswith(call_id)


def test_the_provider_gets_its_own_key_and_none_of_the_agents(crossing: Crossing) -> None:
    ask(crossing, "plain", QUESTION, "text")
    headers = crossing.simulator.entries()[-1]["headers"]
    shown = {headers.get("authorization"), headers.get("x-api-key")} - {None}
    assert shown <= {f"Bearer ***{PROVIDER_KEY[-4:]}", f"***{PROVIDER_KEY[-4:]}"}
    assert len(shown) == 1
