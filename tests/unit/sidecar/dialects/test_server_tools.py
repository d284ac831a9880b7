"""Tools that a provider runs by itself: what may be asked of whom, and whose account of them goes back to whom."""

import json

import pytest

from sidecar.canonical.events import Failed, collect
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import ChatRequest, Message, ServerCall, Text
from sidecar.canonical.server_tools import CodeExecution, ServerTool, WebSearch
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.dialects.base import ChatDialect, ChatTarget, InPath
from sidecar.dialects.openai_responses import OPENAI_RESPONSES
from sidecar.dialects.registry import TARGETS
from sidecar.errors import CannotCarry, MalformedAnswer, MalformedRequest


def asking(*tools: ServerTool) -> ChatRequest:
    return ChatRequest(model="m", messages=(Message("user", (Text(text="News?"),)),), server_tools=tools)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("tool", [WebSearch(), CodeExecution()])
def test_a_model_that_does_not_list_a_tool_is_not_asked_for_it(target: ChatTarget, tool: ServerTool) -> None:
    with pytest.raises(CannotCarry):
        target.encode_request(asking(tool), ModelTraits("m", 100))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_search_is_not_sent_where_it_would_go_beyond_its_domains(target: ChatTarget) -> None:
    traits = ModelTraits("m", 100, server_tools=frozenset({"web_search"}))
    search = WebSearch(blocked_domains=("example.com",))
    if target is ANTHROPIC:
        [tool] = json.loads(target.encode_request(asking(search), traits).body)["tools"]
        assert tool["blocked_domains"] == ["example.com"]
    else:
        with pytest.raises(CannotCarry):
            target.encode_request(asking(search), traits)


SEARCH = ServerCall(id="openai-responses:ws_1:", tool="web_search", input="news")


def test_an_answer_of_another_vendor_loses_its_own_tools_on_the_way_back_to_anthropic() -> None:
    own_use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    own_result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    cited = {
        "type": "web_search_result_location",
        "url": "u",
        "title": "t",
        "cited_text": "c",
        "encrypted_index": "Eo8",
    }
    own_text = {"type": "text", "text": "So.", "citations": [cited]}
    foreign = [
        {**own_use, "id": SEARCH.id},
        {**own_result, "tool_use_id": SEARCH.id},
        {**own_use, "id": "gemini:call_1"},
        {"type": "code_execution_tool_result", "tool_use_id": "gemini:call_1", "content": {"type": "x"}},
        {"type": "text", "text": "Thus.", "citations": [{**cited, "encrypted_index": ""}]},
    ]
    content = [own_use, own_result, *foreign, own_text]
    sent = {"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": content}]}
    forwarded = json.loads(ANTHROPIC.forward(ANTHROPIC.open(json.dumps(sent).encode()), "claude"))
    kept = [own_use, own_result, {"type": "text", "text": "Thus."}, own_text]
    assert forwarded["messages"] == [{"role": "assistant", "content": kept}]


def test_an_answer_of_another_vendor_loses_its_own_tools_on_the_way_back_to_openai() -> None:
    own = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
    sent = {"model": "m", "input": [own, {**own, "id": "pointsman:srvtoolu_1"}]}
    forwarded = json.loads(OPENAI_RESPONSES.forward(OPENAI_RESPONSES.open(json.dumps(sent).encode()), "gpt"))
    assert forwarded["input"] == [own]


def test_openais_search_comes_back_to_it_through_an_anthropic_agent() -> None:
    use = {"type": "server_tool_use", "id": SEARCH.id, "name": "web_search", "input": {"query": "news"}}
    result = {"type": "web_search_tool_result", "tool_use_id": SEARCH.id, "content": []}
    talk = [{"role": "assistant", "content": [use, result, {"type": "text", "text": "So."}]}]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": talk}).encode()
    request = ANTHROPIC.decode_request(ANTHROPIC.open(body))
    assert request.messages[0].parts[0] == SEARCH
    encoded = OPENAI_RESPONSES.encode_request(request, ModelTraits("gpt", 100))
    assert encoded.dropped == ()
    item = json.loads(encoded.body)["input"][0]
    assert (item["type"], item["id"], item["action"]["query"]) == ("web_search_call", "ws_1", "news")


START = {
    "type": "message_start",
    "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}},
}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "server_tool_use", "id": "s", "name": "web_fetch", "input": {}},
        {"type": "web_fetch_tool_result", "tool_use_id": "s", "content": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": 7},
        {"type": "code_execution_tool_result", "tool_use_id": "s"},
        {"type": "text", "text": "So.", "citations": 7},
    ],
)
def test_what_one_of_anthropics_own_tools_gave_is_read_or_refused(block: dict[str, object]) -> None:
    answer = {"type": "message", "id": "i", "model": "m", "content": [block], "stop_reason": "end_turn", "usage": {}}
    with pytest.raises(MalformedAnswer):
        ANTHROPIC.decode_response(json.dumps(answer).encode())
    if block["type"] != "text":
        decoder = ANTHROPIC.new_decoder()
        began = {"type": "content_block_start", "index": 0, "content_block": block}
        events = decoder.feed(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (START, began)))
        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, MalformedAnswer)


def test_a_search_whose_result_never_came_is_told_before_the_end() -> None:
    events = [
        START,
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    decoder = ANTHROPIC.new_decoder()
    said = decoder.feed(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events))
    assert collect(said).choices[0].parts == (ServerCall(id="s", tool="web_search", input="q"),)


@pytest.mark.parametrize(
    ("dialect", "body", "refused"),
    [
        (ANTHROPIC, {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, CannotCarry),
        (
            ANTHROPIC,
            {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": "x"}]},
            MalformedRequest,
        ),
        (
            ANTHROPIC,
            {
                "tools": [{"type": "web_search_20250305", "name": "web_search"}],
                "tool_choice": {"type": "tool", "name": "web_search"},
            },
            CannotCarry,
        ),
        (OPENAI_RESPONSES, {"tools": [{"type": "mcp", "server_label": "a"}]}, CannotCarry),
        (OPENAI_RESPONSES, {"tools": [{"type": "web_search", "external_web_access": False}]}, CannotCarry),
        (OPENAI_RESPONSES, {"tools": [{"type": "web_search", "filters": 7}]}, MalformedRequest),
        (
            OPENAI_RESPONSES,
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}]},
            CannotCarry,
        ),
    ],
)
def test_what_only_one_provider_can_do_is_refused(
    dialect: ChatDialect, body: dict[str, object], refused: type[Exception]
) -> None:
    turns = [{"role": "user", "content": "Hi"}]
    sent = {"model": "m", "max_tokens": 9, "messages": turns, "input": turns} | body
    with pytest.raises(refused):
        dialect.decode_request(dialect.open(json.dumps(sent).encode(), InPath("m")))
