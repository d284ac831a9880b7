"""Facts as people write them."""

from typing import Any

import pytest

from sidecar.routing.conversations import conversation_key
from sidecar.routing.facts import Facts, parse_facts


@pytest.mark.parametrize(
    ("document", "facts"),
    [
        ({}, Facts()),
        ({"input_tokens": 1200, "tools": True}, Facts(input_tokens=1200, needs=frozenset({"tools"}))),
        ({"tools": False, "needs": ["vision"]}, Facts(needs=frozenset({"vision"}))),
        ({"needs": ["vision"], "tools": True}, Facts(needs=frozenset({"vision", "tools"}))),
        ({"stream": True, "agent": "a", "caller": "c"}, Facts(stream=True, agent="a", caller="c")),
        (
            {"headers": {"x-tier": "gold"}, "metadata": {"a": "b"}},
            Facts(headers={"x-tier": "gold"}, metadata={"a": "b"}),
        ),
        ({"max_output_tokens": None}, Facts()),
        ({"conversation": "c-1"}, Facts(conversation=conversation_key(named="c-1"))),
        ({"conversation": ""}, Facts()),
    ],
)
def test_facts_as_people_write_them(document: dict[str, Any], facts: Facts) -> None:
    assert parse_facts(document) == facts


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"tool": True}, 'unknown fact "tool"'),
        ({"input_token": 1}, "input_tokens"),
        ({"tools": "yes"}, "true or false"),
        ({"needs": "tools"}, "a list of capabilities"),
        ({"needs": [1]}, "a list of capabilities"),
        ({"needs": ["flying"]}, "facts:"),
        ({"input_tokens": "many"}, "facts:"),
        ({"headers": []}, "facts:"),
        ({"conversation": 7}, "facts:"),
    ],
)
def test_what_is_wrong_is_said(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_facts(document)
