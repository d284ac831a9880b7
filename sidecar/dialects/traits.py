"""A request as its model can take it: knobs that it refuses are left out and named, and how much to think is said in
the way that it understands. Only for what crosses dialects: in its own dialect a caller's word stands.
"""

from collections.abc import Mapping
from typing import get_args

import msgspec

from schemas.bundle import Effort, Knob, ServerToolName
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import ChatRequest, ReasoningRequest, Text
from sidecar.canonical.server_tools import WebSearch
from sidecar.errors import CannotCarry

_DEFAULTS: Mapping[Knob, object] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "parallel_tool_calls": True,
    "stop": (),
}
"""What holds where nothing is said: left out, it is not missed."""

_UNSAID: Mapping[Knob, object] = {"stop": ()}
_SAMPLING: tuple[Knob, ...] = tuple(knob for knob in get_args(Knob) if not knob.startswith("reasoning_"))

_CALLED: Mapping[ServerToolName, str] = {
    "web_search": "a web search that the provider runs",
    "code_execution": "code that the provider runs",
}

_BUDGETS: Mapping[Effort, int] = {"low": 1_024, "minimal": 1_024, "medium": 8_192, "high": 24_576}
"""Tokens for an effort (ai.google.dev/gemini-api/docs/openai, "Thinking"), and back."""

_ORDER: tuple[Effort, ...] = get_args(Effort)


def fit(request: ChatRequest, model: ModelTraits, lacks: frozenset[Knob], dropped: list[str]) -> ChatRequest:
    """
    Args:
        lacks: knobs that the target's dialect has no word for.
        dropped: takes the names of what was left out, by the caller's own names.

    Raises:
        CannotCarry: a wish for a tool that the model's provider does not run.
    """
    for tool in request.server_tools:
        name: ServerToolName = "web_search" if isinstance(tool, WebSearch) else "code_execution"
        if name not in model.server_tools:
            raise CannotCarry("server_tool", f"{_CALLED[name]}, which the model does not list under `server_tools`")
    refused = model.refuses | lacks
    changes: dict[str, object] = {}
    for knob in (knob for knob in _SAMPLING if knob in refused):
        value = getattr(request, knob)
        if value is not None and value != ():
            changes[knob] = _UNSAID.get(knob)
            if knob not in _DEFAULTS or value != _DEFAULTS[knob]:
                dropped.append(knob)
    parts = (part for message in request.messages for part in message.parts)
    if any(isinstance(part, Text) and part.citations for part in parts):
        dropped.append("messages.citations")  # they point at what an earlier answer read, which need not come back
    if request.reasoning is not None:
        changes["reasoning"] = _fit_reasoning(request.reasoning, model.efforts, refused, dropped)
    return msgspec.structs.replace(request, **changes) if changes else request


def _fit_reasoning(
    wanted: ReasoningRequest, efforts: tuple[Effort, ...] | None, refused: frozenset[Knob], dropped: list[str]
) -> ReasoningRequest | None:
    if wanted.disabled or wanted.effort == "none":
        if "reasoning_off" not in refused:
            return wanted
        dropped.append("thinking")
        return ReasoningRequest(effort=efforts[0]) if efforts else None
    effort: Effort | None = wanted.effort
    budget = wanted.budget_tokens
    if budget is not None and "reasoning_budget" in refused:
        effort, budget = effort or _effort_of(budget), None
        if efforts == ():
            dropped.append("thinking")
            return None
    if efforts == () and effort is not None:
        if "reasoning_budget" in refused:
            dropped.append("reasoning_effort")
            return None
        budget = budget or _BUDGETS.get(effort, _BUDGETS["high"])
        effort = None
    return ReasoningRequest(effort=_nearest(effort, efforts), budget_tokens=budget)


def _nearest(effort: Effort | None, efforts: tuple[Effort, ...] | None) -> Effort | None:
    """The same, else the next lower one, else the lowest that thinks at all."""
    if effort is None or not efforts or effort in efforts:
        return effort
    thinking = [each for each in efforts if each != "none"]
    lower = [each for each in thinking if _ORDER.index(each) < _ORDER.index(effort)]
    return lower[-1] if lower else thinking[0] if thinking else None


def _effort_of(budget_tokens: int) -> Effort:
    return next((effort for effort, tokens in _BUDGETS.items() if budget_tokens <= tokens), "high")
