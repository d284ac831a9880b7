"""What we send to Converse is what botocore's own service model allows, at the path that botocore would call."""

import base64
import json
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest
from botocore.model import ServiceModel
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    AnyPart,
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningRequest,
    RedactedReasoning,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.dialects.bedrock import BEDROCK
from sidecar.dialects.signatures import mark_responses
from sidecar.errors import CannotCarry

MODEL = ServiceModel(botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
GOLDEN = Path(__file__).parents[4] / "golden" / "requests"
TOOL = Tool(name="weather", parameters={"type": "object"})
CALL = ToolCall(id="call_1", name="weather", arguments='{"city":"Paris"}')
ARN = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-sonnet-4-6-v1:0"


def user(*parts: AnyPart) -> tuple[Message, ...]:
    return (Message("user", parts),)


def request(*messages: Message, **more: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=messages or user(Text(text="Hello")), **more)


def sent(asked: ChatRequest, largest: int = 4_000) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(BEDROCK.encode_request(asked, ModelTraits("m", largest)).body)
    assert_allowed(body)
    return body


def dropped(asked: ChatRequest) -> tuple[str, ...]:
    return BEDROCK.encode_request(asked, ModelTraits("m", 4_000)).dropped


def assert_allowed(body: dict[str, Any]) -> None:
    report = ParamValidator().validate({"modelId": "m", **body}, MODEL.operation_model("Converse").input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/*.to_bedrock.json")), ids=lambda path: path.stem)
def test_every_golden_request_is_one_that_botocore_would_send(path: Path) -> None:
    written = json.loads(path.read_text())
    if "body" in written:
        assert_allowed(written["body"])
    else:
        assert written["refused"]["code"] in ("cannot_carry", "malformed_request")


@pytest.mark.parametrize("name", ["us.anthropic.claude-sonnet-4-6-v1:0", ARN, "amazon.nova-lite-v1:0"])
@pytest.mark.parametrize(("stream", "operation"), [(False, "Converse"), (True, "ConverseStream")])
def test_the_path_is_the_one_that_botocore_calls(name: str, stream: bool, operation: str) -> None:
    serializer = create_serializer("rest-json", include_validation=False)
    called = serializer.serialize_to_request({"modelId": name}, MODEL.operation_model(operation))
    assert BEDROCK.path(name, stream) == called["url_path"]


def test_media_go_as_bytes_in_the_formats_that_have_a_name() -> None:
    data = base64.b64encode(b"x").decode()
    parts: list[AnyPart] = [
        Image(data=data, media_type="image/jpeg"),
        File(data=data, media_type="text/csv", name="a_b.csv"),
        File(data=data, media_type="application/pdf", name="a_b.csv"),
        File(text="words"),
        Audio(data=data, format="mp3"),
        Text(text="?"),
    ]
    content = sent(request(*user(*parts)))["messages"][0]["content"]
    assert content[0] == {"image": {"format": "jpeg", "source": {"bytes": data}}}
    assert [block["document"]["name"] for block in content[1:4]] == ["a-b-csv", "a-b-csv 2", "document"]
    assert [block["document"]["format"] for block in content[1:4]] == ["csv", "pdf", "txt"]
    assert content[4] == {"audio": {"format": "mp3", "source": {"bytes": data}}}


def test_a_document_alone_has_its_name_as_text_beside_it() -> None:
    content = sent(request(*user(File(text="words", name="notes"))))["messages"][0]["content"]
    assert content[1:] == [{"text": "notes"}]


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (request(*user(Image(url="https://example.com/a.png"))), "named by its URL"),
        (request(*user(Image(data="aGk=", media_type="image/tiff"))), "image/tiff"),
        (request(*user(File(file_id="file-1"))), "its URL or an id"),
        (request(*user(File(data="aGk=", media_type="application/zip"))), "application/zip"),
        (request(*user(Audio(data="aGk=", format="midi"))), "midi"),
        (request(choices=2), "2 choices"),
        (request(Message("assistant", (Text(text="Hi"),))), "does not begin"),
        (request(Message("system", (Text(text="Be brief"),))), "does not begin"),
        (request(tools=(Tool(name="a" * 65, parameters={}),)), "name is longer"),
        (request(*user(Text(text="?")), Message("assistant", (CALL,))), "without the tools"),
        (
            request(
                *user(Text(text="?")), Message("assistant", (CALL,)), tools=(TOOL,), tool_choice=ToolChoice("none")
            ),
            "ban on tools",
        ),
    ],
)
def test_what_converse_would_refuse_goes_to_the_next_target(asked: ChatRequest, what: str) -> None:
    with pytest.raises(CannotCarry, match=what):
        BEDROCK.encode_request(asked, ModelTraits("m", 4_000))


def test_a_ban_on_tools_leaves_them_out_and_says_so() -> None:
    asked = request(tools=(TOOL,), tool_choice=ToolChoice("none"))
    assert "toolConfig" not in sent(asked)
    assert dropped(asked) == ("tools",)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"auto": {}}),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("one", "weather"), {"tool": {"name": "weather"}}),
    ],
)
def test_tool_choices(choice: ToolChoice, expected: dict[str, Any]) -> None:
    assert sent(request(tools=(TOOL,), tool_choice=choice))["toolConfig"]["toolChoice"] == expected


def test_turns_of_one_side_become_one_message() -> None:
    talk = (
        *user(Text(text="Weather?")),
        Message("assistant", (Reasoning(text="Hm.", signature="c2ln"), CALL)),
        Message("tool", (ToolResult(call_id="call_1", parts=(Text(text="None"),), is_error=True),)),
        *user(Text(text="Well?")),
    )
    messages = sent(request(*talk, tools=(TOOL,)))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"][0] == {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
    assert messages[2]["content"] == [
        {"toolResult": {"toolUseId": "call_1", "content": [{"text": "None"}], "status": "error"}},
        {"text": "Well?"},
    ]


@pytest.mark.parametrize("id_", ["x" * 65, "fc|1", "é", ""])
def test_a_call_and_its_result_keep_one_id_that_converse_takes(id_: str) -> None:
    call = ToolCall(id=id_, name="weather", arguments="{}")
    result = ToolResult(call_id=id_, parts=(Text(text="1"),))
    asked = request(*user(Text(text="?")), Message("assistant", (call,)), Message("tool", (result,)), tools=(TOOL,))
    messages = sent(asked)["messages"]
    used, answered = messages[1]["content"][0]["toolUse"], messages[2]["content"][0]["toolResult"]
    assert used["toolUseId"] == answered["toolUseId"]
    assert 0 < len(used["toolUseId"]) <= 64


@pytest.mark.parametrize(
    ("arguments", "given"),
    [("", {}), ("{}", {}), ('{"a":', {"malformed_arguments": '{"a":'}), ("[1]", {"malformed_arguments": "[1]"})],
)
def test_arguments_that_are_no_object_are_shown_to_the_model_as_it_wrote_them(
    arguments: str, given: dict[str, Any]
) -> None:
    asked = request(
        *user(Text(text="?")), Message("assistant", (ToolCall(id="c", name="f", arguments=arguments),)), tools=(TOOL,)
    )
    assert sent(asked)["messages"][1]["content"][0]["toolUse"]["input"] == given


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning(text="Hm."),
        Reasoning(text="Hm.", signature=mark_responses("rs_1", "abc")),
        RedactedReasoning(data="not base64!"),
    ],
)
def test_reasoning_that_bedrock_could_not_verify_is_left_out_by_name(thought: AnyPart) -> None:
    asked = request(*user(Text(text="?")), Message("assistant", (thought, Text(text="Yes."))))
    assert sent(asked)["messages"][1]["content"] == [{"text": "Yes."}]
    assert dropped(asked) == ("messages.reasoning",)


def test_cache_marks_are_blocks_after_what_they_mark() -> None:
    asked = request(
        Message("system", (Text(text="Long.", cache_ttl="1h"),)),
        *user(Text(text="Hello", cache_ttl="5m")),
        tools=(Tool(name="f", parameters={}, cache_ttl="5m"),),
    )
    body = sent(asked)
    assert body["system"] == [{"text": "Long."}, {"cachePoint": {"ttl": "1h", "type": "default"}}]
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert dropped(asked) == ()


@pytest.mark.parametrize(
    ("knob", "name"),
    [
        ({"top_k": 5}, "top_k"),
        ({"seed": 1}, "seed"),
        ({"logprobs": 0}, "logprobs"),
        ({"user": "u"}, "user"),
        ({"temperature": 1.5}, "temperature"),
        ({"max_output_tokens": 9_000}, "max_tokens"),
        ({"reasoning": ReasoningRequest(disabled=True)}, "thinking"),
        ({"output": OutputFormat(mode="json")}, "response_format"),
        ({"metadata": {"a": "é"}}, "metadata"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"tools": (TOOL,), "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"extra": {"made_up": 1}}, "made_up"),
        ({"extra": {"additionalModelRequestFields": "no object"}}, "additionalModelRequestFields"),
    ],
)
def test_a_knob_without_a_place_is_left_out_by_name(knob: dict[str, Any], name: str) -> None:
    asked = request(**knob)
    sent(asked)
    assert dropped(asked) == (name,)


def test_a_vendors_own_fields_go_on_where_the_caller_named_them_so() -> None:
    """`additionalModelRequestFields` is data that the caller gave: no name of a model is read for it."""
    fields = {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "top_k": 5}
    asked = request(extra={"additionalModelRequestFields": fields})
    assert sent(asked)["additionalModelRequestFields"] == fields
    assert dropped(asked) == ()


def test_knobs_with_a_place_stand_in_it() -> None:
    asked = request(
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        stop=("END", ""),
        reasoning=ReasoningRequest(effort="high"),
        output=OutputFormat(mode="json_schema", schema={"type": "object"}, name="n"),
        metadata={"team": "a"},
        service_tier="flex",
    )
    assert dropped(asked) == ()
    schema = {"jsonSchema": {"schema": '{"type":"object"}', "name": "n"}}
    assert sent(asked) == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "outputConfig": {"textFormat": {"structure": schema, "type": "json_schema"}, "effort": "high"},
        "requestMetadata": {"team": "a"},
        "serviceTier": {"type": "flex"},
    }
