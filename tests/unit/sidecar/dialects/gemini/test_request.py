"""Corners of requests that no transcript holds."""

import json
from typing import Any

import pytest

from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    OutputFormat,
    Part,
    ReasoningRequest,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.dialects.base import Encoded, InPath
from sidecar.dialects.gemini import GEMINI
from sidecar.errors import CannotCarry, MalformedRequest

HELLO = {"contents": [{"parts": [{"text": "Hello"}]}]}


def decoded(more: dict[str, Any] | None = None, *parts: dict[str, Any]) -> ChatRequest:
    body = HELLO | (more or {})
    if parts:
        body = body | {"contents": [{"role": "user", "parts": list(parts)}]}
    return GEMINI.decode_request(GEMINI.open(json.dumps(body).encode(), InPath("support")))


def turns(*contents: tuple[str, list[dict[str, Any]]]) -> ChatRequest:
    return decoded({"contents": [{"role": role, "parts": parts} for role, parts in contents]})


def encoded(*parts: Part, **more: Any) -> tuple[dict[str, Any], Encoded]:
    request = ChatRequest(model="m", messages=(Message("user", parts or (Text(text="Hello"),)),), **more)
    made = GEMINI.encode_request(request, ModelTraits("gemini-3", 1_000))
    return json.loads(made.body), made


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": [3]}, "contents[0]"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 3}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inlineData": {"data": "AA=="}}]}]}, "contents[0].parts[0].inlineData"),
        ({"contents": [{"parts": [{"fileData": {}}]}]}, "contents[0].parts[0].fileData"),
        ({"contents": [{"parts": [{"functionCall": {"name": "f"}}]}]}, "contents[0]"),
        ({"contents": [{"role": "model", "parts": [{"functionCall": {"args": {}}}]}]}, "functionCall.name"),
        ({"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": 3}}]}]}, "functionCall.args"),
        ({"contents": [{"parts": [{"functionResponse": {}}]}]}, "functionResponse.name"),
        (HELLO | {"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        (HELLO | {"generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        (HELLO | {"generationConfig": {"candidateCount": 0}}, "generationConfig.candidateCount"),
        (HELLO | {"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        (HELLO | {"generationConfig": {"thinkingConfig": {"thinkingLevel": "SOME"}}}, "thinkingLevel"),
        (HELLO | {"tools": [{"functionDeclarations": [{"description": "x"}]}]}, "functionDeclarations[0].name"),
        (HELLO | {"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "functionCallingConfig.mode"),
    ],
)
def test_a_malformed_request_is_named_by_its_path(body: dict[str, Any], named: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        GEMINI.decode_request(GEMINI.open(json.dumps(body).encode(), InPath("support")))
    assert named in refused.value.message


def test_a_path_without_a_model_is_malformed() -> None:
    with pytest.raises(MalformedRequest, match="names no model"):
        GEMINI.open(json.dumps(HELLO).encode())


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({}, {"toolCall": {"toolType": "URL_CONTEXT"}}),
        ({}, {"inlineData": {"mimeType": "video/mp4", "data": "AA=="}}),
        ({}, {"fileData": {"mimeType": "audio/mp3", "fileUri": "https://example.com/a.mp3"}}),
        ({"systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}}, {"text": "x"}),
        ({"tools": [{"urlContext": {}}]}, {"text": "x"}),
        ({"continuationToken": "AA=="}, {"text": "x"}),
    ],
)
def test_content_that_only_gemini_has_a_place_for_is_refused(more: dict[str, Any], part: dict[str, Any]) -> None:
    with pytest.raises(CannotCarry):
        decoded(more, part)


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({}, None),
        ({"includeThoughts": True}, ReasoningRequest()),
        ({"includeThoughts": False}, None),
        ({"thinkingBudget": 0}, ReasoningRequest(disabled=True)),
        ({"thinkingBudget": -1}, ReasoningRequest()),
        ({"thinkingBudget": 1024, "includeThoughts": True}, ReasoningRequest(budget_tokens=1024)),
        ({"thinking_level": "high"}, ReasoningRequest(effort="high")),
        ({"thinkingLevel": "XHIGH"}, ReasoningRequest(effort="xhigh")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None),
    ],
)
def test_how_much_to_think(config: dict[str, Any], reasoning: ReasoningRequest | None) -> None:
    assert decoded({"generationConfig": {"thinkingConfig": config}}).reasoning == reasoning


@pytest.mark.parametrize(
    ("reasoning", "config"),
    [
        (ReasoningRequest(effort="none"), {"thinkingBudget": 0}),
        (ReasoningRequest(effort="high", disabled=True), {"thinkingBudget": 0}),
        (ReasoningRequest(), {"includeThoughts": True, "thinkingBudget": -1}),
        (ReasoningRequest(effort="low", budget_tokens=9), {"includeThoughts": True, "thinkingBudget": 9}),
        (ReasoningRequest(effort="minimal"), {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        (ReasoningRequest(effort="max"), {"includeThoughts": True, "thinkingLevel": "HIGH"}),
    ],
)
def test_how_much_to_think_on_the_way_out(reasoning: ReasoningRequest, config: dict[str, Any]) -> None:
    assert encoded(reasoning=reasoning)[0]["generationConfig"]["thinkingConfig"] == config


@pytest.mark.parametrize(
    ("config", "choice", "names"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto"), ["a", "b", "c"]),
        ({"mode": "none"}, ToolChoice("none"), ["a", "b", "c"]),
        ({"mode": "ANY"}, ToolChoice("required"), ["a", "b", "c"]),
        ({"mode": "ANY", "allowedFunctionNames": ["b"]}, ToolChoice("one", "b"), ["a", "b", "c"]),
        ({"mode": "ANY", "allowed_function_names": ["a", "b"]}, ToolChoice("required"), ["a", "b"]),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, ToolChoice("auto"), ["a"]),
    ],
)
def test_which_functions_may_be_called(config: dict[str, Any], choice: ToolChoice, names: list[str]) -> None:
    tools = [{"functionDeclarations": [{"name": name} for name in "abc"]}]
    request = decoded({"tools": tools, "toolConfig": {"functionCallingConfig": config}})
    assert (request.tool_choice, [tool.name for tool in request.tools]) == (choice, names)


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "3 degrees"}, "3 degrees", False),
        ({"result": "3 degrees"}, "3 degrees", False),
        ({"output": {"a": [1]}}, '{"a":[1]}', False),
        ({"error": "no such city"}, "no such city", True),
        ({"temperature": 3}, '{"temperature":3}', False),
        ({"output": 1, "error": None}, '{"output":1,"error":null}', False),
        ({}, "{}", False),
    ],
)
def test_what_a_tool_gave(response: dict[str, Any], text: str, is_error: bool) -> None:
    request = turns(
        ("user", [{"text": "Weather?"}]),
        ("model", [{"functionCall": {"name": "weather"}}]),
        ("user", [{"functionResponse": {"name": "weather", "response": response}}]),
    )
    assert request.messages[-1].parts == (ToolResult(call_id="call_0", parts=(Text(text=text),), is_error=is_error),)


def call(name: str, **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **more}}


def result(name: str, said: str, **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {"output": said}, **more}}


@pytest.mark.parametrize(
    ("calls", "results", "answered"),
    [
        ([call("a"), call("b")], [result("b", "B"), result("a", "A")], {"call_0": "A", "call_1": "B"}),
        (
            [call("a"), call("a")],
            [result("a", "first"), result("a", "second")],
            {"call_0": "first", "call_1": "second"},
        ),
        (
            [call("a", id="x"), call("a", id="y")],
            [result("a", "Y", id="y"), result("a", "X", id="x")],
            {"x": "X", "y": "Y"},
        ),
        ([call("a", id="x"), call("a")], [result("a", "X"), result("a", "?")], {"x": "X", "call_1": "?"}),
    ],
)
def test_a_result_finds_its_call_by_id_or_by_name_in_order(
    calls: list[dict[str, Any]], results: list[dict[str, Any]], answered: dict[str, str]
) -> None:
    messages = turns(("user", [{"text": "Go."}]), ("model", calls), ("user", results)).messages
    found = {part.call_id: part.parts[0].text for part in messages[-1].parts}  # type: ignore[union-attr]
    assert found == answered
    assert {part.id for part in messages[1].parts} == set(answered)  # type: ignore[union-attr]


def test_ids_of_calls_stay_the_same_as_the_conversation_grows() -> None:
    first = [("user", [{"text": "Go."}]), ("model", [call("a")]), ("user", [result("a", "A")])]
    later = [*first, ("model", [call("a")]), ("user", [result("a", "B")])]
    short, long = turns(*first), turns(*later)
    assert long.messages[: len(short.messages)] == short.messages
    ids = [part.id for message in long.messages for part in message.parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == 2


def test_results_and_what_the_user_says_beside_them_are_turns_of_their_own_and_come_together_again() -> None:
    contents = (
        ("user", [{"text": "Go."}]),
        ("model", [call("a", id="x", args={})]),
        ("user", [result("a", "A", id="x"), {"text": "Well?"}]),
    )
    request = turns(*contents)
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "user"]
    made = json.loads(GEMINI.encode_request(request, ModelTraits("gemini-3", 1_000)).body)["contents"]
    assert [content["role"] for content in made] == ["user", "model", "user"]
    assert made[2]["parts"] == contents[2][1]


@pytest.mark.parametrize(
    ("part", "made", "dropped"),
    [
        (Image(url="https://example.com/a"), {"fileData": {"fileUri": "https://example.com/a"}}, ()),
        (
            Image(url="https://example.com/a.JPG?x=1", detail="high"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.com/a.JPG?x=1"}},
            ("messages.image_url.detail",),
        ),
        (
            File(data="AA==", media_type="application/pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}},
            (),
        ),
        (File(text="b", name="a.txt"), {"text": "a.txt\n\nb"}, ()),
        (Audio(data="AA==", format="mp3"), {"inlineData": {"mimeType": "audio/mp3", "data": "AA=="}}, ()),
        (Text(text="x", cache_ttl="5m"), {"text": "x"}, ("cache_control",)),
    ],
)
def test_media_on_the_way_out(part: Part, made: dict[str, Any], dropped: tuple[str, ...]) -> None:
    body, whole = encoded(part)
    assert (body["contents"][0]["parts"], whole.dropped) == ([made], dropped)


@pytest.mark.parametrize("part", [File(file_id="file-1"), File(data="AA=="), ToolResult(call_id="gone", parts=())])
def test_what_gemini_cannot_read_is_refused(part: Part) -> None:
    with pytest.raises(CannotCarry):
        encoded(part)


def test_a_tools_result_with_an_image_keeps_it_and_its_error() -> None:
    messages = (
        Message("user", (Text(text="Go."),)),
        Message("assistant", (ToolCall(id="x", name="f", arguments=""),)),
        Message(
            "tool",
            (
                ToolResult(
                    call_id="x", parts=(Text(text="a"), Image(data="AA==", media_type="image/png")), is_error=True
                ),
            ),
        ),
    )
    made = json.loads(GEMINI.encode_request(ChatRequest(model="m", messages=messages), ModelTraits("g", 9)).body)[
        "contents"
    ]
    assert made[1]["parts"][0]["functionCall"]["args"] == {}
    assert made[2]["parts"][0]["functionResponse"] == {
        "id": "x",
        "name": "f",
        "response": {"error": "a"},
        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
    }


@pytest.mark.parametrize("arguments", ["[1]", "{", '"x"'])
def test_arguments_that_are_no_object_are_carried_as_the_text_that_the_model_wrote(arguments: str) -> None:
    messages = (
        Message("user", (Text(text="Go."),)),
        Message("assistant", (ToolCall(id="x", name="f", arguments=arguments),)),
    )
    made = json.loads(GEMINI.encode_request(ChatRequest(model="m", messages=messages), ModelTraits("g", 9)).body)[
        "contents"
    ]
    assert made[1]["parts"][0]["functionCall"]["args"] == {"malformed_arguments": arguments}


@pytest.mark.parametrize(
    ("more", "config", "dropped"),
    [
        ({"max_output_tokens": 5_000}, {"maxOutputTokens": 1_000}, ("max_tokens",)),
        ({"temperature": 2.5, "top_p": 0.5}, {"topP": 0.5}, ("temperature",)),
        ({"stop": tuple("abcdef")}, {"stopSequences": list("abcde")}, ("stop",)),
        ({"seed": 2**31}, None, ("seed",)),
        ({"logprobs": 0}, {"responseLogprobs": True}, ()),
        ({"choices": 3}, {"candidateCount": 3}, ()),
        ({"user": "u", "metadata": {"a": "b"}}, None, ("user", "metadata")),
        ({"output": OutputFormat(mode="json")}, {"responseMimeType": "application/json"}, ()),
        ({"extra": {"logit_bias": {}}}, None, ("logit_bias",)),
    ],
)
def test_knobs_that_gemini_lacks_are_named(
    more: dict[str, Any], config: dict[str, Any] | None, dropped: tuple[str, ...]
) -> None:
    body, made = encoded(**more)
    assert (body.get("generationConfig"), made.dropped) == (config, dropped)


def test_a_choice_among_no_tools_is_dropped_by_name() -> None:
    body, made = encoded(tool_choice=ToolChoice("required"))
    assert ("toolConfig" in body, made.dropped) == (False, ("tool_choice",))


def test_a_function_without_parameters_says_none() -> None:
    body, _ = encoded(tools=(Tool(name="now", parameters={"type": "object", "properties": {}}),))
    assert body["tools"] == [{"functionDeclarations": [{"name": "now"}]}]
    assert decoded({"tools": body["tools"]}).tools[0].parameters == {"type": "object", "properties": {}}


def test_a_request_with_nothing_but_a_system_message_cannot_be_carried() -> None:
    with pytest.raises(CannotCarry):
        GEMINI.encode_request(
            ChatRequest(model="m", messages=(Message("system", (Text(text="x"),)),)),
            ModelTraits("g", 9),
        )
