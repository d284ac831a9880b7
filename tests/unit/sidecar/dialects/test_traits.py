"""What a model refuses is left out and named, and how much to think is said in the way that it understands."""

import json
from typing import Any

import pytest

from schemas.bundle import Effort, Knob
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import ChatRequest, Message, ReasoningRequest, Text
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.dialects.base import ChatDialect
from sidecar.dialects.gemini import GEMINI
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.dialects.openai_responses import OPENAI_RESPONSES
from sidecar.dialects.traits import fit

SAMPLING: frozenset[Knob] = frozenset({"temperature", "top_p", "top_k"})


def asking(**fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=(Message("user", (Text(text="Hello"),)),), **fields)


def model(refuses: frozenset[Knob] = frozenset(), efforts: tuple[Effort, ...] | None = None) -> ModelTraits:
    return ModelTraits("m", 32_000, refuses=refuses, efforts=efforts)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (asking(temperature=0.2, top_p=0.9, top_k=4), ("temperature", "top_p", "top_k")),
        (asking(temperature=1, top_p=1), ()),  # as if nothing were said
        (asking(seed=1, stop=("x",)), ()),  # which this model takes
    ],
)
def test_a_knob_that_the_model_refuses_is_left_out_and_named(asked: ChatRequest, named: tuple[str, ...]) -> None:
    dropped: list[str] = []
    fitted = fit(asked, model(SAMPLING), frozenset(), dropped)
    assert tuple(dropped) == named
    assert (fitted.temperature, fitted.top_p, fitted.top_k) == (None, None, None)
    assert (fitted.seed, fitted.stop) == (asked.seed, asked.stop)


def test_what_is_left_out_at_its_default_is_not_missed() -> None:
    dropped: list[str] = []
    refuses: frozenset[Knob] = frozenset({"presence_penalty", "parallel_tool_calls", "logprobs", "stop"})
    fitted = fit(asking(presence_penalty=0.0, parallel_tool_calls=True, logprobs=0), model(refuses), refuses, dropped)
    assert dropped == ["logprobs"]
    assert (fitted.presence_penalty, fitted.parallel_tool_calls, fitted.logprobs, fitted.stop) == (None, None, None, ())


NO_BUDGET: frozenset[Knob] = frozenset({"reasoning_budget"})
NEVER_IDLE: frozenset[Knob] = frozenset({"reasoning_off"})


@pytest.mark.parametrize(
    ("wanted", "traits", "said", "named"),
    [
        (ReasoningRequest(effort="high"), model(), ReasoningRequest(effort="high"), ()),
        (ReasoningRequest(effort="max"), model(efforts=("low", "high")), ReasoningRequest(effort="high"), ()),
        (ReasoningRequest(effort="medium"), model(efforts=("low", "high")), ReasoningRequest(effort="low"), ()),
        (ReasoningRequest(effort="minimal"), model(efforts=("none", "low")), ReasoningRequest(effort="low"), ()),
        (ReasoningRequest(effort="medium"), model(efforts=()), ReasoningRequest(budget_tokens=8_192), ()),
        (ReasoningRequest(effort="max"), model(efforts=()), ReasoningRequest(budget_tokens=24_576), ()),
        (ReasoningRequest(effort="low"), model(NO_BUDGET, ()), None, ("reasoning_effort",)),
        (ReasoningRequest(budget_tokens=900), model(NO_BUDGET), ReasoningRequest(effort="low"), ()),
        (ReasoningRequest(budget_tokens=5_000), model(NO_BUDGET), ReasoningRequest(effort="medium"), ()),
        (ReasoningRequest(budget_tokens=99_000), model(NO_BUDGET), ReasoningRequest(effort="high"), ()),
        (ReasoningRequest(budget_tokens=900, effort="max"), model(NO_BUDGET), ReasoningRequest(effort="max"), ()),
        (ReasoningRequest(budget_tokens=900), model(NO_BUDGET, ()), None, ("thinking",)),
        (ReasoningRequest(budget_tokens=900), model(), ReasoningRequest(budget_tokens=900), ()),
        (ReasoningRequest(), model(NO_BUDGET, ()), ReasoningRequest(), ()),
        (ReasoningRequest(disabled=True), model(), ReasoningRequest(disabled=True), ()),
        (ReasoningRequest(disabled=True), model(NEVER_IDLE), None, ("thinking",)),
        (
            ReasoningRequest(effort="none"),
            model(NEVER_IDLE, ("low", "high")),
            ReasoningRequest(effort="low"),
            ("thinking",),
        ),
    ],
)
def test_how_much_to_think_is_said_as_the_model_takes_it(
    wanted: ReasoningRequest, traits: ModelTraits, said: ReasoningRequest | None, named: tuple[str, ...]
) -> None:
    dropped: list[str] = []
    assert fit(asking(reasoning=wanted), traits, frozenset(), dropped).reasoning == said
    assert tuple(dropped) == named


OPUS = model(SAMPLING | NO_BUDGET, ("low", "medium", "high", "xhigh", "max"))
HAIKU = model(efforts=())
GPT_5 = model(
    frozenset({"temperature", "top_p", "stop", "presence_penalty", "frequency_penalty", "logprobs"}),
    ("minimal", "low", "medium", "high"),
)
GEMINI_3 = model(frozenset({"reasoning_budget", "reasoning_off"}), ("low", "medium", "high"))


@pytest.mark.parametrize(
    ("dialect", "traits", "asked", "body", "named"),
    [
        (
            ANTHROPIC,
            OPUS,
            asking(temperature=0.2, reasoning=ReasoningRequest(budget_tokens=2_000)),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
            ("temperature",),
        ),
        (
            ANTHROPIC,
            HAIKU,
            asking(reasoning=ReasoningRequest(effort="medium")),
            {"thinking": {"type": "enabled", "budget_tokens": 8_192}},
            (),
        ),
        (
            ANTHROPIC,
            HAIKU,
            asking(reasoning=ReasoningRequest()),
            {"thinking": {"type": "enabled", "budget_tokens": 8_192}},
            (),
        ),
        (
            ANTHROPIC,
            HAIKU,
            asking(reasoning=ReasoningRequest(effort="high"), max_output_tokens=10_000),
            {"max_tokens": 10_000, "thinking": {"type": "enabled", "budget_tokens": 5_000}},
            (),
        ),
        (
            ANTHROPIC,
            HAIKU,
            asking(reasoning=ReasoningRequest(effort="high"), max_output_tokens=1_500),
            {"max_tokens": 1_500},
            ("thinking",),
        ),
        (
            OPENAI_CHAT,
            GPT_5,
            asking(temperature=0.2, stop=("END",), reasoning=ReasoningRequest(disabled=True)),
            {"reasoning_effort": "minimal"},
            ("temperature", "stop", "thinking"),
        ),
        (
            OPENAI_CHAT,
            model(efforts=("none", "low")),
            asking(reasoning=ReasoningRequest(disabled=True)),
            {"reasoning_effort": "none"},
            (),
        ),
        (
            OPENAI_RESPONSES,
            GPT_5,
            asking(top_p=0.9, reasoning=ReasoningRequest(budget_tokens=2_000)),
            {"reasoning": {"effort": "medium"}, "include": ["reasoning.encrypted_content"]},
            ("top_p",),
        ),
        (
            OPENAI_RESPONSES,
            GPT_5,
            asking(reasoning=ReasoningRequest(disabled=True)),
            {"reasoning": {"effort": "minimal"}, "include": ["reasoning.encrypted_content"]},
            ("thinking",),
        ),
        (
            GEMINI,
            GEMINI_3,
            asking(reasoning=ReasoningRequest(budget_tokens=100_000)),
            {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"}}},
            (),
        ),
        (
            GEMINI,
            GEMINI_3,
            asking(reasoning=ReasoningRequest()),
            {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
            (),
        ),
        (
            GEMINI,
            GEMINI_3,
            asking(reasoning=ReasoningRequest(disabled=True)),
            {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"}}},
            ("thinking",),
        ),
        (
            GEMINI,
            HAIKU,
            asking(reasoning=ReasoningRequest(effort="low")),
            {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1_024}}},
            (),
        ),
    ],
)
def test_no_dialect_sends_what_the_model_refuses(
    dialect: ChatDialect, traits: ModelTraits, asked: ChatRequest, body: dict[str, object], named: tuple[str, ...]
) -> None:
    encoded = dialect.encode_request(asked, traits)
    always = {"model", "messages", "contents", "input", "store"} | ({"max_tokens"} - body.keys())
    assert {name: value for name, value in json.loads(encoded.body).items() if name not in always} == body
    assert encoded.dropped == named
