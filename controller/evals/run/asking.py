"""What a run asks: which samples of which models, and in which words. Pure."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from schemas.eval_files import EvalSet, canonical
from schemas.eval_set import Line
from schemas.rules.eval_sample import EvalSample
from schemas.rules.graders import Asking

Done: TypeAlias = tuple[str, int, str]
"""A result: its sample, its epoch and its model."""


@dataclass(frozen=True, slots=True)
class Task:
    """One sample, asked of one model, once."""

    line: Line[EvalSample]
    epoch: int
    """From 1."""
    model: str
    """As it was named: `model`, or `model@provider`."""

    @property
    def done(self) -> Done:
        return self.line.sample.id, self.epoch, self.model

    @property
    def key(self) -> str:
        return sample_key(self.done)


def sample_key(done: Done) -> str:
    """What its call is known by in the journal."""
    return json.dumps(["sample", *done])


def tasks_of(eval_set: EvalSet, models: Sequence[str], epochs: int, limit: int | None) -> Iterator[Task]:
    """Models take turns at each sample, so that an hour in which all is slow is everyone's hour.

    Args:
        limit: only so many samples: always the same ones, whatever their order in the file.
    """
    for epoch in range(1, epochs + 1):
        for line in chosen(eval_set.lines, limit):
            for model in models:
                yield Task(line, epoch, model)


def chosen(lines: Sequence[Line[EvalSample]], limit: int | None) -> Sequence[Line[EvalSample]]:
    """A sample of them in the file's order; a larger `limit` keeps what a smaller one takes."""
    if limit is None or limit >= len(lines):
        return lines
    by_lot = sorted(lines, key=lambda line: hashlib.sha256(line.sample.id.encode("utf-8", "surrogatepass")).digest())
    taken = {line.sample.id for line in by_lot[:limit]}
    return [line for line in lines if line.sample.id in taken]


def body_of(line: Line[EvalSample], ask: Asking, use_case: str) -> bytes:
    """A chat completion's request. Turns and tools are sent as they stand in the set."""
    asked = line.data["input"]
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
    if ask.system is not None:
        messages.insert(0, {"role": "system", "content": ask.system})
    body: dict[str, Any] = {"model": use_case, "messages": messages}
    if line.sample.tools:
        body["tools"] = line.data["tools"]
    return encode({**body, **_knobs(ask)})


def judge_body(messages: Sequence[dict[str, Any]], max_output_tokens: int, use_case: str) -> bytes:
    return encode({"model": use_case, "messages": messages, "max_completion_tokens": max_output_tokens})


def params_hash(ask: Asking) -> str:
    return _hash(_knobs(ask))


def prompt_hash(ask: Asking) -> str:
    return _hash({"system": ask.system})


def encode(value: object) -> bytes:
    """JSON in the order in which it was written: models read a schema's keys in theirs."""
    return json.dumps(value, default=_plain).encode()


def _knobs(ask: Asking) -> dict[str, Any]:
    knobs = {
        "max_completion_tokens": ask.max_output_tokens,
        "temperature": ask.temperature,
        "stop": list(ask.stop) or None,
        "seed": ask.seed,
    }
    return {name: value for name, value in knobs.items() if value is not None}


def _hash(value: object) -> str:
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()[:16]}"


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value)} does not stand in JSON")
