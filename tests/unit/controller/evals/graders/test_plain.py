"""Each grader that needs no one else: a row per answer."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from controller.evals.graders.answer import Answer, ToolCall, parse_answer
from controller.evals.graders.bounded import TookTooLong, bounded
from controller.evals.graders.combine import success_of
from controller.evals.graders.plain import grade
from schemas.rules.graders import Grader, Graders

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FILES = {"n.json": json.dumps(SCHEMA), "away.json": json.dumps({"$ref": "https://example.com/schema.json"})}


def grader(kind: str, **more: Any) -> Any:
    return TypeAdapter(Grader).validate_python({"id": "it", "kind": kind, **more})


@pytest.mark.parametrize(
    ("kind", "more", "answer", "target", "value"),
    [
        ("exact", {}, "Paris", "Paris", 1),
        ("exact", {}, "  Paris\n", "Paris", 1),
        ("exact", {}, "paris", "Paris", 0),
        ("exact", {"ignore_case": True}, "PARIS", "Paris", 1),
        ("exact", {}, "Paris.", "Paris", 0),
        ("exact", {"ignore_punctuation": True}, '"Paris."', "Paris", 1),
        ("exact", {"ignore_punctuation": True}, "**Paris**!", "Paris", 1),
        ("exact", {"ignore_punctuation": True}, "5", "-5", 0),
        ("exact", {"ignore_punctuation": True}, "C", "C#", 0),
        ("exact", {"ignore_punctuation": True}, "?", "!", 0),
        ("exact", {}, "Par\u0069\u0301s", "Par\u00eds", 1),
        ("exact", {}, "Rome", ["Paris", "Rome"], 1),
        ("exact", {}, "7", 7, 1),
        ("exact", {"field": "city"}, '{"city": "Paris"}', "Paris", 1),
        ("exact", {"field": "city"}, '```json\n{"city": "Paris"}\n```', "Paris", 1),
        ("exact", {"field": "city"}, "Paris", "Paris", 0),
        ("exact", {"field": "cities.1", "target_field": "second"}, '{"cities": ["a", "b"]}', {"second": "b"}, 1),
        ("exact", {}, "", "Paris", 0),
        ("contains", {}, "It is Paris, of course", "Paris", 1),
        ("contains", {"whole_words": True}, "category", "cat", 0),
        ("contains", {"whole_words": True}, "the cat.", "cat", 1),
        ("contains", {"ignore_case": True}, "STRASSE", "straße", 1),
        ("contains", {}, "Rome or Paris", ["Oslo", "Rome"], 1),
        ("regex", {"pattern": r"^\d{4}-\d\d-\d\d$"}, "2026-11-23", None, 1),
        ("regex", {"pattern": r"^\d{4}-\d\d-\d\d$"}, "on 2026-11-23", None, 0),
        ("regex", {"pattern": r"answer: (\w+)", "group": 1}, "The answer: no", "no", 1),
        ("regex", {"pattern": r"answer: (\w+)", "group": 1}, "The answer: yes", "no", 0),
        ("regex", {"ignore_case": True}, "Yes", "^y", 1),
        ("regex", {"pattern": "(a+)+$"}, "a" * 60 + "b", None, None),
        ("numeric", {}, "3 + 4 = 7", 7, 1),
        ("numeric", {"take": "first"}, "3 + 4 = 7", 7, 0),
        ("numeric", {"take": "only"}, "3 + 4 = 7", 7, 0),
        ("numeric", {"take": "only"}, "It is 7, so 7.", 7, 1),
        ("numeric", {}, "1,204.50 dollars", "1204.5", 1),
        ("numeric", {}, "\u22125", -5, 1),
        ("numeric", {}, "room 12a", 12, 0),
        ("numeric", {}, "version 1.2.3", 3, 0),
        ("numeric", {"within": 1}, "99", 100, 1),
        ("numeric", {"within_percent": 10}, "91", Decimal(100), 1),
        ("numeric", {"within_percent": 10}, "89", Decimal(100), 0),
        ("numeric", {}, "seven", 7, 0),
        ("json_schema", {"schema": "n.json"}, '{"n": 1}', None, 1),
        ("json_schema", {"schema": "n.json"}, '```\n{"n": 1}\n```', None, 1),
        ("json_schema", {"schema": "n.json"}, 'Here: {"n": 1}', None, 0),
        ("json_schema", {"schema": "n.json"}, '{"n": "1"}', None, 0),
        ("json_schema", {"schema": "away.json"}, '{"n": 1}', None, None),
    ],
)  # fmt: skip
def test_an_answer_has_its_worth(kind: str, more: dict[str, Any], answer: str, target: Any, value: float) -> None:
    assert grade(grader(kind, **more), Answer(answer), target, FILES) == value


LOOK, SEND = {"name": "look", "arguments": {"at": 1}}, {"name": "send", "arguments": {}}


def called(*calls: dict[str, Any]) -> Answer:
    return Answer("", tuple(ToolCall(call["name"], call["arguments"]) for call in calls))


@pytest.mark.parametrize(
    ("more", "answer", "target", "value"),
    [
        ({}, called(LOOK), {"tool_calls": [LOOK]}, 1),
        ({}, called(LOOK), [LOOK], 1),
        ({}, called({"name": "look", "arguments": {"at": 1.0, "by": "us"}}), [LOOK], 1),
        ({}, called({"name": "look", "arguments": {"at": True}}), [LOOK], 0),
        ({}, called({"name": "look", "arguments": {"at": 2}}), [LOOK], 0),
        ({"match": "name"}, called({"name": "look", "arguments": {"at": 2}}), [LOOK], 1),
        ({"match": "name"}, called({"name": "look", "arguments": None}), [LOOK], 1),
        ({}, called({"name": "look", "arguments": None}), [LOOK], 0),
        ({}, called(SEND, LOOK), [LOOK, SEND], 1),
        ({"in_order": True}, called(SEND, LOOK), [LOOK, SEND], 0),
        ({"in_order": True}, called(LOOK, SEND), [LOOK, SEND], 1),
        ({}, called(LOOK, SEND), [LOOK], 0),
        ({"allow_more": True}, called(LOOK, SEND), [LOOK], 1),
        ({"allow_more": True, "in_order": True}, called(LOOK, SEND, LOOK), [SEND, LOOK], 1),
        ({}, called(LOOK), [LOOK, LOOK], 0),
        ({}, called(), [], 1),
        ({}, called(LOOK), [], 0),
        ({}, Answer("I would look"), [LOOK], 0),
        ({}, called(LOOK, {"name": "look", "arguments": {}}), [{"name": "look"}, LOOK], 1),
    ],
)  # fmt: skip
def test_calls_are_held_against_the_target(more: dict[str, Any], answer: Answer, target: Any, value: float) -> None:
    assert grade(grader("tool_call", **more), answer, target, {}) == value


@given(st.text(), st.text(min_size=1))
def test_any_text_has_a_worth(answer: str, target: str) -> None:
    for kind in ("exact", "contains"):
        assert grade(grader(kind, ignore_case=True), Answer(answer), target, {}) in (0.0, 1.0)
    assert grade(grader("numeric"), Answer(answer), 7, {}) in (0.0, 1.0)
    assert grade(grader("exact"), Answer(target), target, {}) == 1.0


@pytest.mark.parametrize(
    ("combine", "gate", "values", "success"),
    [
        ("all", [], {"a": 1.0, "b": 0.5}, 0.5),
        ("all", [], {"a": 1.0, "b": None}, None),
        ("all", [], {"a": 0.0, "b": None}, 0.0),
        ("any", [], {"a": 0.0, "b": 1.0}, 1.0),
        ("any", [], {"a": None, "b": 1.0}, 1.0),
        ("any", [], {"a": None, "b": 0.0}, None),
        ("mean", [], {"a": 0.0, "b": 1.0}, 0.5),
        ("all", ["a"], {"a": 0.0, "b": None}, 0.0),
        ("any", ["a"], {"a": 0.0, "b": 1.0}, 0.0),
        ("any", ["a"], {"a": None, "b": 1.0}, None),
        ("any", ["a"], {"a": 1.0, "b": 0.0}, 0.0),
        ("all", ["a", "b"], {"a": 1.0, "b": 1.0}, 1.0),
    ],
)  # fmt: skip
def test_graders_together(
    combine: str, gate: list[str], values: dict[str, float | None], success: float | None
) -> None:
    listed = [{"id": name, "kind": "exact", "gate": name in gate} for name in values]
    graders = Graders.model_validate({"version": 1, "graders": listed, "combine": combine})
    assert success_of(graders, values) == success


def test_a_chat_completion_is_read() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    broken = {"id": "2", "type": "function", "function": {"name": "look", "arguments": '{"at": '}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, broken]}
    answer = parse_answer({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    assert answer == Answer("", (ToolCall("look", {"at": 1}), ToolCall("look", None)), "tool_calls")


@pytest.mark.parametrize("body", [{}, [], "text", None, {"choices": []}, {"choices": [{"message": None}]}])
def test_what_is_no_chat_completion_is_said(body: object) -> None:
    with pytest.raises(ValueError, match="no chat completion"):
        parse_answer(body)


def test_work_without_an_end_is_ended() -> None:
    with pytest.raises(TookTooLong), bounded(0.01):
        re.search("(a+)+$", "a" * 60 + "b")
