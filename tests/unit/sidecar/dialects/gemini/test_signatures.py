"""Whose thoughts go where: Gemini's signatures stay with Gemini, and no other vendor's ever reaches it."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import ChatRequest, Message, Reasoning, RedactedReasoning, Text, ToolCall
from sidecar.canonical.response import ChatResponse, Choice
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.dialects.base import InPath
from sidecar.dialects.gemini import GEMINI
from sidecar.dialects.gemini.signatures import SKIP, is_wrapped, unwrap, wrap, wrap_redacted

OWN = "CpIBAdHtim9kW0nB7y2Z5q8xJ3fW1d4v"
PATH = InPath("support")


def body(*parts: dict[str, object]) -> bytes:
    turns = [{"role": "user", "parts": [{"text": "2+2?"}]}, {"role": "model", "parts": list(parts)}]
    return json.dumps({"contents": [*turns, {"role": "user", "parts": [{"text": "And 3+3?"}]}]}).encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_wrapped_comes_back_in_either_alphabet_of_base64(signature: str) -> None:
    for wrapped in (wrap(signature), wrap(signature).replace("+", "-").replace("/", "_").rstrip("=")):
        assert is_wrapped(wrapped)
        assert unwrap("thought", wrapped) == Reasoning(text="thought", signature=signature)
    assert unwrap("", wrap_redacted(signature)) == RedactedReasoning(data=signature)


@pytest.mark.parametrize("signature", [None, "", OWN, SKIP, "cG9pbnRzbWFu", "cG9pbnRzbWFu!!!"])
def test_any_other_signature_stays_in_this_dialect(signature: str | None) -> None:
    assert unwrap("thought", signature) == Reasoning(text="thought")


def test_another_vendors_thoughts_reach_it_again_and_never_gemini() -> None:
    """Answered by Anthropic, kept by Google's SDK (which rewrites base64), and sent on to either."""
    answer = ChatResponse(
        id="1",
        model="m",
        usage=None,
        choices=(Choice(parts=(Reasoning(text="Sum.", signature="s+/="), RedactedReasoning(data="r")), finish="stop"),),
    )
    given = json.loads(GEMINI.encode_response(answer))["candidates"][0]["content"]["parts"]
    for part in given:
        raw = base64.b64decode(part["thoughtSignature"])
        part["thoughtSignature"] = base64.urlsafe_b64encode(raw).decode()
    envelope = GEMINI.open(body(*given, {"text": "4"}), PATH)

    to_gemini = json.loads(GEMINI.forward(envelope, "gemini-3"))
    assert to_gemini["contents"][1]["parts"] == [{"text": "4"}]
    to_anthropic = json.loads(
        ANTHROPIC.encode_request(GEMINI.decode_request(envelope), ModelTraits("claude", 1000)).body
    )
    assert to_anthropic["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Sum.", "signature": "s+/="},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "text", "text": "4"},
    ]


def test_a_turn_of_nothing_but_foreign_thoughts_is_left_out_whole() -> None:
    envelope = GEMINI.open(body({"text": "Sum.", "thought": True, "thought_signature": wrap("s")}), PATH)
    contents = json.loads(GEMINI.forward(envelope, "gemini-3"))["contents"]
    assert [content["role"] for content in contents] == ["user", "user"]


def test_a_foreign_signature_on_a_call_gives_way_to_the_word_that_gemini_knows() -> None:
    call = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": wrap("s")}
    contents = json.loads(GEMINI.forward(GEMINI.open(body(call), PATH), "gemini-3"))["contents"]
    assert contents[1]["parts"][0]["thoughtSignature"] == SKIP


def test_geminis_own_signatures_pass_through_and_do_not_cross() -> None:
    sent = body({"text": "Sum.", "thought": True, "thoughtSignature": OWN}, {"text": "4", "thoughtSignature": OWN})
    envelope = GEMINI.open(sent, PATH)
    assert GEMINI.forward(envelope, "gemini-3") == sent
    request = GEMINI.decode_request(envelope)
    assert request.messages[1].parts == (Reasoning(text="Sum."), Text(text="4"))
    assert list(request.extra) == ["contents.parts.thoughtSignature"]


def test_of_parallel_calls_that_another_model_made_the_first_is_signed() -> None:
    calls = tuple(ToolCall(id=f"c{at}", name="f", arguments="{}") for at in range(2))
    turns = (Message("user", (Text(text="Go."),)), Message("assistant", calls))
    encoded = json.loads(
        GEMINI.encode_request(ChatRequest(model="m", messages=turns), ModelTraits("gemini-3", 100)).body
    )
    assert [part.get("thoughtSignature") for part in encoded["contents"][1]["parts"]] == [SKIP, None]
