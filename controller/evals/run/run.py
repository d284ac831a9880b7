"""Asks, grades and writes down, a few calls at a time, until all is done or something stands in the way."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controller.evals.rows import Row, Status
from controller.evals.run.answers import Answered
from controller.evals.run.asking import Done, Task, body_of, params_hash, prompt_hash, sample_key, tasks_of
from controller.evals.run.budget import Budget
from controller.evals.run.calls import Calls
from controller.evals.run.grading import Graded, Grading, judge_keys
from controller.evals.run.journal import Journal, JournalUnusable
from controller.evals.run.results import ResultsFile, done_of
from controller.evals.run.sidecar import Sidecar, Stop
from controller.evals.stats.judge import Agreement
from schemas.eval_files import EvalSet
from schemas.record import Usd
from schemas.rules.graders import JudgeGrader
from schemas.version import VERSION

Show = Callable[[int, int], None]
"""Takes how many results there are, and how many there will be."""

JOURNAL: Final = ".calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is to do."""

    eval_set: EvalSet
    models: Sequence[str]
    """Each `model` or `model@provider`."""
    epochs: int
    limit: int | None = None
    """Only so many samples."""
    concurrency: int = 4
    budget_usd: Usd | None = None
    again: bool = False
    """Whether what failed is asked again."""


@dataclass(slots=True)
class Outcome:
    """How far it came."""

    run_id: str
    total: int
    lines: Sequence[Mapping[str, Any]]
    """The results, as they stand in the file."""
    paid_usd: Usd
    """By the gateway's ledger: answers, judges and calls whose answer was lost."""
    unpriced: int
    """Calls of which no price is known."""
    lost_calls: int
    """Calls whose answer never arrived, since the run was killed or a connection broke."""
    lost_usd: Usd
    lost_unknown: int
    """Those of them that the sidecar does not know any more."""
    agreements: Mapping[str, Agreement]
    """By judge."""
    stopped: str = ""
    """Why it ended before its end."""

    @property
    def done(self) -> int:
        return len(self.lines)


async def run(plan: Plan, out: Path, sidecar_url: str, key: str | None, show: Show) -> Outcome:
    """Goes on where an earlier run with the same file ended.

    Raises:
        JournalUnusable: the file is of something else.
        OSError: it cannot be written.
    """
    with Journal(out.with_name(out.name + JOURNAL)) as journal, ResultsFile(out) as results:
        run_id = _identify(plan, journal, results, out)
        async with Sidecar(sidecar_url, plan.eval_set.use_case, f"eval-{run_id}", key) as sidecar:
            calls = Calls(sidecar, journal, Budget(plan.budget_usd))
            async with Grading(plan.eval_set, calls.ask) as grading:
                return await _Running(plan, run_id, results, calls, grading, show).to_the_end()


def _identify(plan: Plan, journal: Journal, results: ResultsFile, out: Path) -> str:
    """The run's id: that of the earlier one where there was one."""
    mine = {"use_case": plan.eval_set.use_case, "set_hash": plan.eval_set.hash}
    if journal.identity is None:
        if results.lines:
            raise JournalUnusable(f"{out} holds results, and {out.name}{JOURNAL} is not beside it; name another --out")
        journal.begin({**mine, "run_id": os.urandom(6).hex()})
    known = journal.identity or {}
    if {name: known.get(name) for name in mine} != mine:
        raise JournalUnusable(
            f"{out} holds results of {known.get('use_case')} with another set or other graders; name another --out"
        )
    run_id = str(known["run_id"])
    if any(line["run_id"] != run_id for line in results.lines):
        raise JournalUnusable(f"{out} holds results of another run too; name another --out")
    return run_id


@dataclass(slots=True)
class _Running:
    plan: Plan
    run_id: str
    results: ResultsFile
    calls: Calls
    grading: Grading
    show: Show
    agreements: dict[str, Agreement] = field(default_factory=dict)

    async def to_the_end(self) -> Outcome:
        if self.plan.again:
            self._take_back_failed()
        done = self.results.done
        planned = list(tasks_of(self.plan.eval_set, self.plan.models, self.plan.epochs, self.plan.limit))
        with _leaving_in_order(self.calls.stop):
            try:
                await self.calls.settle()
                self.calls.count_earlier_costs()
                await self._hold_judges_against_people()
            except Stop as stop:
                self.calls.stop(str(stop))
            left = iter([task for task in planned if task.done not in done])
            await asyncio.gather(*(self._work(left, len(planned)) for _ in range(self.plan.concurrency)))
        with contextlib.suppress(Stop):
            await self.calls.settle()
        return self._outcome({task.done for task in planned})

    def _take_back_failed(self) -> None:
        keys: list[str] = []
        for line in self.results.take_back_failed():
            done = done_of(line)
            if line["status"] != "grader_error":
                keys.append(sample_key(done))
            keys += [key for grader in self._judges() for key in judge_keys(grader, done)]
        self.calls.journal.forget(keys)

    async def _hold_judges_against_people(self) -> None:
        for grader in self._judges():
            found = await self.grading.agreement(grader)
            if found is not None:
                self.agreements[grader.id] = found

    def _judges(self) -> Iterator[JudgeGrader]:
        return (grader for grader in self.plan.eval_set.graders.graders if isinstance(grader, JudgeGrader))

    async def _work(self, tasks: Iterator[Task], total: int) -> None:
        while not self.calls.stopped:
            task = next(tasks, None)
            if task is None:
                return
            try:
                await self._result(task)
            except Stop as stop:
                self.calls.stop(str(stop))
            self.show(len(self.results.lines), total)

    async def _result(self, task: Task) -> None:
        graders = self.plan.eval_set.graders
        body = body_of(task.line, graders.ask, self.plan.eval_set.use_case)
        answered = await self.calls.ask(task.key, task.model, body)
        answer = answered.answer
        graded = Graded({}, 0.0) if answer is None else await self.grading.grade(task, answer)
        sample = task.line.sample
        row = Row(
            sample_id=sample.id, model=task.model, success=graded.success, epoch=task.epoch,
            status=_status(answered, graded), cluster=sample.cluster, slice=sample.slice, provider=answered.provider,
            run_id=self.run_id, set_hash=self.plan.eval_set.hash, params_hash=params_hash(graders.ask),
            prompt_hash=prompt_hash(graders.ask), price_version=answered.bundle, harness_version=f"pointsman {VERSION}",
            grader_versions={grader.id: str(graders.version) for grader in graders.graders}, scores=graded.scores,
            in_tok=answered.in_tok, out_tok=answered.out_tok, cached_tok=answered.cached_tok,
            cost_usd=answered.cost_usd, ttft_ms=answered.ttft_ms, latency_ms=answered.latency_ms, ts=answered.at,
        )  # fmt: skip
        self.results.add(
            row,
            call_id=answered.call_id,
            answer=None if answer is None else answer.text,
            tool_calls=None if answer is None else [[call.name, call.arguments] for call in answer.tool_calls] or None,
            error=answered.error or graded.error,
            judge_usd=graded.judge_usd,
        )

    def _outcome(self, wanted: Set[Done]) -> Outcome:
        journal = self.calls.journal
        lines = [line for line in self.results.lines if done_of(line) in wanted]
        lost = [usd for _, usd in journal.lost if usd is not None]
        known = [usd for _, usd in journal.paid if usd is not None]
        return Outcome(
            run_id=self.run_id,
            total=len(wanted),
            lines=lines,
            paid_usd=sum((*known, *lost), Usd(0)),
            unpriced=sum(call.cost_usd is None and call.ending == "ok" for call in journal.answered.values()),
            lost_calls=len(journal.lost),
            lost_usd=sum(lost, Usd(0)),
            lost_unknown=len(journal.lost) - len(lost),
            agreements=self.agreements,
            stopped=self.calls.stopped if len(lines) < len(wanted) else "",
        )


def _status(answered: Answered, graded: Graded) -> Status:
    answer = answered.answer
    if answer is None:
        return answered.ending
    if graded.success is None:
        return "grader_error"
    if answer.refusal or answer.finish == "content_filter":
        return "refusal"
    return "length" if answer.finish == "length" else "ok"


@contextlib.contextmanager
def _leaving_in_order(stop: Callable[[str], None]) -> Iterator[None]:
    """The first Ctrl-C lets calls that are paid for end; the second one does not."""
    loop = asyncio.get_running_loop()

    def leave(number: int) -> None:
        loop.remove_signal_handler(number)
        stop("interrupted")

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            loop.add_signal_handler(number, leave, number)
    except (ValueError, NotImplementedError, RuntimeError):  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
