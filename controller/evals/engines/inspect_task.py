"""An eval set as a task of Inspect AI, and the models of a sidecar as its models. Needs the extra `evals-inspect`."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import inspect_ai
from inspect_ai import Epochs, Task
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    get_model,
    messages_from_openai,
)
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolInfo
from inspect_ai.util._display import init_display_type
from openai import DefaultAsyncHttpxClient

from controller.evals.engines.ledger import Ledger
from controller.evals.graders.answer import Answer, ToolCall
from controller.evals.run.asking import Task as Asked
from controller.evals.run.asking import chosen, encode
from controller.evals.run.grading import Grading
from schemas.eval_files import EvalSet
from schemas.rules.graders import Asking

VERSION: Final = inspect_ai.__version__
OWN_ID: Final = "x-irid"
"""Inspect's header with its id for a call; its log has it too."""
SCORE: Final = "pointsman"
SUCCESS: Final = "success"
FINISHED: Final = {"max_tokens": "length", "model_length": "length", "content_filter": "content_filter"}
MOST_RETRIES: Final = 3
"""The sidecar retries itself; these are for a sidecar that restarts."""

Noticed = Callable[[str, int, bytes], None]
"""Takes a call's own id, the status and the body of an answer that is an error."""


def show_nothing() -> None:
    """Inspect's own display would stand among what we print; `eval_async` has no parameter for it."""
    init_display_type("none")


def model_of(
    name: str, url: str, headers: Mapping[str, str], key: str | None, ledger: Ledger, noticed: Noticed
) -> Model:
    """
    Args:
        name: as it will stand in the log.
        headers: what pins the calls, and says whose they are.
    """

    async def hear(response: Any) -> None:
        own_id, call_id = response.request.headers.get(OWN_ID, ""), response.headers.get("x-pointsman-request-id")
        if call_id is not None:
            ledger.saw(own_id, call_id, response.headers.get("x-pointsman-bundle"))
        if response.status_code >= 400:
            noticed(own_id, response.status_code, await response.aread())

    return get_model(
        f"openai-api/pointsman/{name}",
        base_url=f"{url.rstrip('/')}/v1",
        # Without callers a sidecar trusts its loopback; the client wants some key.
        api_key=key or "none",
        config=GenerateConfig(extra_headers=dict(headers), max_retries=MOST_RETRIES),
        memoize=False,
        http_client=DefaultAsyncHttpxClient(event_hooks={"request": [], "response": [hear]}),
    )


def task_of(
    eval_set: EvalSet, model: str, epochs: int, limit: int | None, grading: Grading, done: Callable[[], None]
) -> Task:
    """The task that asks this model what `eval run` asks it, and grades alike."""
    asked = {line.sample.id: line for line in chosen(eval_set.lines, limit)}
    samples = [
        Sample(
            id=sample_id,
            input=line.sample.input if isinstance(line.sample.input, str) else encode(line.data["input"]).decode(),
            target=_target(line.data.get("target")),
            metadata={name: value for name in ("cluster", "slice") if (value := line.data.get(name)) is not None},
        )
        for sample_id, line in asked.items()
    ]

    def ask() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            line = asked[str(state.sample_id)]
            given = _bare(line.data["input"])
            turns = [ChatMessageUser(content=given)] if isinstance(given, str) else await messages_from_openai(given)
            system = eval_set.graders.ask.system
            state.messages = [*([ChatMessageSystem(content=system)] if system is not None else []), *turns]
            tools = [ToolInfo(**_tool(tool)) for tool in _bare(line.data.get("tools") or [])]
            state.output = await get_model().generate(state.messages, tools=tools)
            state.messages.append(state.output.message)
            return state

        return solve

    def grade() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            task = Asked(asked[str(state.sample_id)], state.epoch, model)
            graded = await grading.grade(task, answer_of(state))
            done()
            values = {SUCCESS: graded.success, **{f"by.{name}": value for name, value in graded.scores.items()}}
            return Score(value=values, explanation=graded.error or None)

        return score

    return Task(
        dataset=samples,
        solver=solver(name="ask")(ask)(),
        scorer=scorer(metrics={"*": [mean()]}, name=SCORE)(grade)(),
        epochs=Epochs(epochs, "mean"),
        config=_config(eval_set.graders.ask),
        name=eval_set.use_case,
        version=eval_set.graders.version,
        metadata={"set_hash": eval_set.hash},
    )


def answer_of(state: TaskState) -> Answer:
    message = state.output.message
    finish = state.output.stop_reason
    calls = tuple(ToolCall(call.function, call.arguments) for call in message.tool_calls or ())
    return Answer(text=message.text, tool_calls=calls, finish="tool_calls" if calls else FINISHED.get(finish, "stop"))


def _config(ask: Asking) -> GenerateConfig:
    return GenerateConfig(
        max_tokens=ask.max_output_tokens,
        temperature=None if ask.temperature is None else float(ask.temperature),
        stop_seqs=list(ask.stop) or None,
        seed=ask.seed,
    )


def _bare(value: Any) -> Any:
    """JSON as other programs read it: a set keeps its numbers exactly as they were written."""
    return json.loads(encode(value))


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool["function"]
    given = {"name": function["name"], "description": function.get("description") or function["name"]}
    return given | ({"parameters": function["parameters"]} if function.get("parameters") else {})


def _target(target: Any) -> str | list[str]:
    """For people who look at the log; graders look at the set."""
    if isinstance(target, Sequence) and all(isinstance(one, str) for one in target):
        return target if isinstance(target, str) else list(target)
    return "" if target is None else json.dumps(target, ensure_ascii=False, default=str)
