"""Inspect AI as the engine of a run: its tasks, tools and agents ask through a sidecar, pinned to one target, and its
own log comes back as rows. Cost and latency are the gateway's.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from controller.evals.engines.ledger import Ledger
from controller.evals.imports.found import Found, at, list_at, number_at, words_at
from controller.evals.imports.importing import Wishes, import_results
from controller.evals.imports.inspect import read as read_log
from controller.evals.rows import Row, Status
from controller.evals.run.answers import Answered, cost_of
from controller.evals.run.asking import params_hash, prompt_hash
from controller.evals.run.grading import Grading
from controller.evals.run.run import Outcome, Show
from controller.evals.run.sidecar import COME_AGAIN, CONNECT_SECONDS, OURS, BrokenOff, ComeAgain, Sidecar, Stop
from controller.evals.stats.judge import Agreement
from controller.evals.written import mapping_of
from schemas.eval_files import EvalSet
from schemas.record import CallRecord, Usd
from schemas.rules.graders import JudgeGrader

JUDGE_PATIENCE: Final = 6
BY: Final = "pointsman.by."


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectPlan:
    """What a run by Inspect AI is to do: an eval set, or a task of a team's own."""

    use_case: str
    models: Sequence[str]
    """Each `model` or `model@provider`."""
    log_dir: Path
    """Where Inspect leaves its logs."""
    eval_set: EvalSet | None = None
    task: str | None = None
    """`file.py` or `file.py@name`; its own scorers grade."""
    metric: str | None = None
    """Which score of the task's counts, where it has several."""
    epochs: int | None = None
    limit: int | None = None
    concurrency: int = 4


def run_with_inspect(
    plan: InspectPlan, sidecar_url: str, key: str | None, show: Show = lambda done, total: None
) -> tuple[list[Row], Outcome]:
    """
    Raises:
        ImportError: the extra `evals-inspect` is not installed.
        Stop: the run could not be made; nothing of it is to be believed.
    """
    return asyncio.run(_run(plan, sidecar_url, key, show))


async def _run(plan: InspectPlan, url: str, key: str | None, show: Show) -> tuple[list[Row], Outcome]:
    from inspect_ai import eval_async

    from controller.evals.engines import inspect_task

    await _reach(url)
    inspect_task.show_nothing()
    run_id = os.urandom(6).hex()
    agent = f"eval-{run_id}"
    total = 0 if plan.eval_set is None else _total(plan, plan.eval_set)
    progress = _Progress(show, total)
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        sidecar = await stack.enter_async_context(Sidecar(url, plan.use_case, agent, key))
        ledger, refusals = Ledger(sidecar), _Refusals()
        grading, agreements = None, {}
        if plan.eval_set is not None:
            grading = await stack.enter_async_context(Grading(plan.eval_set, _Judges(sidecar).ask))
            agreements = await _agreements(plan.eval_set, grading)
        for model in plan.models:
            pinned = {"x-pointsman-use-case": plan.use_case, "x-pointsman-target": model, "x-pointsman-agent": agent}
            asked = inspect_task.model_of(model, url, pinned, key, ledger, refusals.note)
            task: Any = plan.task
            if plan.eval_set is not None and grading is not None:
                epochs = plan.epochs or plan.eval_set.graders.epochs
                task = inspect_task.task_of(plan.eval_set, model, epochs, plan.limit, grading, progress.step)
            # What a task prints is not what we print.
            with contextlib.redirect_stdout(sys.stderr):
                logs = await eval_async(
                    task,
                    model=asked,
                    log_dir=str(plan.log_dir),
                    log_format="eval",
                    limit=plan.limit if plan.eval_set is None else None,
                    epochs=plan.epochs if plan.eval_set is None else None,
                    max_samples=plan.concurrency,
                    fail_on_error=False,
                )
            if not ledger.has_answers:
                raise Stop(f"what answers at {url} is not a Pointsman sidecar: its answers carry no request id")
            refusals.raise_if_ours(model)
            await ledger.close()
            for log in logs:
                if log.status != "success":
                    raise Stop(f"Inspect ended as {log.status}: {_first_line(log)}; its log is {log.location}")
                rows += _rows(plan, model, run_id, Path(log.location), ledger, refusals)
        return rows, _outcome(run_id, rows, ledger.all_records(), agreements)


async def _reach(url: str) -> None:
    """Before Inspect tries for long."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
        writer.close()
    except (OSError, ValueError) as error:
        why = str(error) or type(error).__name__
        raise Stop(f"the sidecar at {url} does not answer ({why}); is it running?") from error


def _rows(plan: InspectPlan, model: str, run_id: str, log: Path, ledger: Ledger, refusals: "_Refusals") -> list[Row]:
    data = log.read_bytes()
    metric = "pointsman.success" if plan.eval_set is not None else plan.metric
    imported = import_results(data, log.name, "inspect", Wishes(model=model, metric=metric))
    if imported.results.problems:
        raise Stop(f"{log}: {imported.results.problems[0].message}; {imported.results.problems[0].suggestion}")
    return [
        _booked(_ended(row, found, refusals), found, plan, run_id, ledger)
        for row, found in zip(imported.results.rows, read_log(data), strict=True)
    ]


def _ended(row: Row, found: Found, refusals: "_Refusals") -> Row:
    """The row with how its last call ended, where that was an error.

    Raises:
        Stop: the model had no part in that.
    """
    if row.status != "model_error":
        return row
    own_ids = _own_ids(found)
    if not own_ids:
        raise Stop(f"sample {row.sample_id} was never asked: {words_at(found.record, 'error', 'message')}")
    refusal = refusals.last_of(own_ids)
    if refusal is None:
        return row
    if refusal.status == 429 or refusal.code in COME_AGAIN:
        raise Stop(f"sample {row.sample_id} was turned away ({refusal.message}); ask fewer at once by --concurrency")
    return replace(row, status=refusal.ending)


def _booked(row: Row, found: Found, plan: InspectPlan, run_id: str, ledger: Ledger) -> Row:
    """The row with what the gateway knows of its calls."""
    own_ids = _own_ids(found)
    records = ledger.records_of(own_ids)
    known = [record for record in records if record is not None]
    used = [record.usage for record in known if record.usage is not None]
    whole = bool(known) and len(known) == len(records)
    graders = (
        {}
        if plan.eval_set is None
        else {one.id: str(plan.eval_set.graders.version) for one in plan.eval_set.graders.graders}
    )
    ask = None if plan.eval_set is None else plan.eval_set.graders.ask
    return replace(
        row,
        run_id=run_id,
        set_hash=_set_hash(plan),
        params_hash=row.params_hash if ask is None else params_hash(ask),
        prompt_hash=row.prompt_hash if ask is None else prompt_hash(ask),
        provider=_provider(known),
        price_version=ledger.bundle_of(own_ids),
        grader_versions=graders,
        scores={
            name.removeprefix(BY): score for name, score in row.scores.items() if name.startswith(BY) or ask is None
        },
        cost_usd=_sum_usd(records),
        in_tok=sum(usage.input_tokens for usage in used) if whole and used else None,
        out_tok=sum(usage.output_tokens for usage in used) if whole and used else None,
        cached_tok=sum(usage.cache_read_tokens for usage in used) if whole and used else None,
        ttft_ms=_in_ms(known[0].first_token_seconds) if whole else None,
        latency_ms=_in_ms(sum(record.seconds for record in known) + _tool_seconds(found)) if whole else None,
    )


def _own_ids(found: Found) -> list[str]:
    """Inspect's ids of the calls that answered the sample; what its scorers asked is no part of it."""
    ids = []
    for event in list_at(found.record, "events"):
        if (at(event, "event"), at(event, "type")) == ("span_begin", "scorers"):
            break
        if at(event, "event") == "model" and (own_id := words_at(event, "call", "request", "extra_headers", "x-irid")):
            ids.append(own_id)
    return ids


def _tool_seconds(found: Found) -> float:
    events = (event for event in list_at(found.record, "events") if at(event, "event") == "tool")
    return float(sum((number_at(event, "working_time") or Decimal(0) for event in events), Decimal(0)))


def _sum_usd(records: Sequence[CallRecord | None]) -> Usd | None:
    costs = [None if record is None else cost_of(record) for record in records]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Usd(0)) if known and len(known) == len(costs) else None


def _provider(records: Sequence[CallRecord]) -> str | None:
    names = {record.provider for record in records if record.provider}
    return names.pop() if len(names) == 1 else None


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _set_hash(plan: InspectPlan) -> str:
    if plan.eval_set is not None:
        return plan.eval_set.hash
    file, _, name = (plan.task or "").partition("@")
    return f"sha256:{hashlib.sha256(Path(file).read_bytes() + b'@' + name.encode()).hexdigest()}"


def _total(plan: InspectPlan, eval_set: EvalSet) -> int:
    samples = min(len(eval_set.lines), plan.limit or len(eval_set.lines))
    return samples * (plan.epochs or eval_set.graders.epochs) * len(plan.models)


def _first_line(log: Any) -> str:
    return str(log.error.message).strip().partition("\n")[0] if log.error else "it does not say why"


def _outcome(
    run_id: str, rows: Sequence[Row], records: Sequence[CallRecord], agreements: Mapping[str, Agreement]
) -> Outcome:
    costs = [cost_of(record) for record in records]
    return Outcome(
        run_id=run_id,
        total=len(rows),
        lines=[mapping_of(row) for row in rows],
        paid_usd=sum((cost for cost in costs if cost is not None), Usd(0)),
        unpriced=sum(record.outcome == "ok" and record.cost_usd is None for record in records),
        lost_calls=0,
        lost_usd=Usd(0),
        lost_unknown=0,
        agreements=agreements,
    )


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    code: str
    message: str

    @property
    def ending(self) -> Status:
        """As a run of our own names it."""
        if self.code == "content_refused":
            return "refusal"
        return "timeout" if self.status == 504 else "model_error"


class _Refusals:
    """Answers of the sidecar that are errors, by Inspect's id of the call."""

    def __init__(self) -> None:
        self._by_id: dict[str, _Refusal] = {}

    def note(self, own_id: str, status: int, body: bytes) -> None:
        try:
            error = json.loads(body)["error"]
            self._by_id[own_id] = _Refusal(status, str(error.get("code") or ""), str(error.get("message")))
        except (ValueError, KeyError, TypeError, AttributeError):
            self._by_id[own_id] = _Refusal(status, "", f"status {status}")

    def raise_if_ours(self, model: str) -> None:
        """What no other sample would change ends the run."""
        for refusal in self._by_id.values():
            if refusal.code in OURS:
                raise Stop(f"{model}: {refusal.message}")

    def last_of(self, own_ids: Sequence[str]) -> _Refusal | None:
        return self._by_id.get(own_ids[-1]) if own_ids else None


class _Judges:
    """Calls of judges; Inspect does not make them, so that they are graded as in a run of our own."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    async def ask(self, key: str, target: str, body: bytes) -> Answered:
        for wait in range(JUDGE_PATIENCE):
            match await self._sidecar.ask(target, body):
                case Answered() as answered:
                    return answered
                case ComeAgain(why, seconds):
                    await asyncio.sleep(seconds or 2**wait)
                case BrokenOff(why):
                    await asyncio.sleep(0.25 * 2**wait)
        raise Stop(f"{target}: {why}")


async def _agreements(eval_set: EvalSet, grading: Grading) -> dict[str, Agreement]:
    judges = [grader for grader in eval_set.graders.graders if isinstance(grader, JudgeGrader)]
    found = {grader.id: await grading.agreement(grader) for grader in judges}
    return {name: agreement for name, agreement in found.items() if agreement is not None}


class _Progress:
    def __init__(self, show: Callable[[int, int], None], total: int) -> None:
        self._show = show
        self._total = total
        self._done = 0

    def step(self) -> None:
        self._done += 1
        self._show(self._done, self._total)
