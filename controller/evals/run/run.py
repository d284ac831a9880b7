"""Asks, grades and writes down, a few calls at a time, until all is done or something stands in the way."""

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controller.evals.rows import Row, Status
from controller.evals.run.answers import Answered, cost_of, is_billed
from controller.evals.run.asking import Task, body_of, params_hash, prompt_hash, tasks_of
from controller.evals.run.budget import Budget
from controller.evals.run.grading import Graded, Grading, judge_keys
from controller.evals.run.journal import Journal, JournalUnusable
from controller.evals.run.results import ResultsFile
from controller.evals.run.sidecar import BrokenOff, ComeAgain, Sidecar, Stop
from controller.evals.stats.judge import Agreement
from schemas.eval_files import EvalSet
from schemas.record import Usd
from schemas.rules.graders import JudgeGrader
from schemas.version import VERSION

Show = Callable[[int, int], None]
"""Takes how many results there are, and how many there will be."""

PATIENCE_SECONDS: Final = 600.0
"""A limit that lasts longer ends the run, which goes on when it is started again."""
MOST_BREAKS: Final = 6
"""Connections that may fail for one call, half a minute in all: a sidecar that restarts is back by then."""
FAILURES_IN_A_ROW: Final = 10
"""A model that fails so often is down: its results would say nothing of its answers."""
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
    """Lost calls that the sidecar does not know any more."""
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
        agent = f"eval-{run_id}"
        async with Sidecar(sidecar_url, plan.eval_set.use_case, agent, key) as sidecar:
            running = _Running(plan, run_id, journal, results, sidecar, sidecar_url, show)
            async with Grading(plan.eval_set, running.ask) as grading:
                return await running.to_the_end(grading)


def _identify(plan: Plan, journal: Journal, results: ResultsFile, out: Path) -> str:
    """The run's id: that of the earlier one where there was one."""
    mine = {"use_case": plan.eval_set.use_case, "set_hash": plan.eval_set.hash}
    known = dict(journal.identity or {})
    for line in results.lines:
        known = known or {**mine, "run_id": line["run_id"], "set_hash": line["set_hash"]}
        if line["run_id"] != known["run_id"] or line["set_hash"] != known["set_hash"]:
            raise JournalUnusable(f"{out} holds results of several runs; name another --out")
    if known and {name: known.get(name) for name in mine} != mine:
        raise JournalUnusable(
            f"{out} holds results of {known.get('use_case')} with another set or other graders; name another --out"
        )
    if journal.identity is None:
        journal.begin({**mine, "run_id": known.get("run_id", os.urandom(6).hex())})
    run_id: str = (journal.identity or {})["run_id"]
    return run_id


@dataclass(slots=True)
class _Running:
    plan: Plan
    run_id: str
    journal: Journal
    results: ResultsFile
    sidecar: Sidecar
    url: str
    show: Show
    budget: Budget = field(default_factory=Budget)
    room: asyncio.Condition = field(default_factory=asyncio.Condition)
    """Notified whenever a call has ended."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""
    failures: Counter[str] = field(default_factory=Counter)
    """In a row, by model."""

    async def to_the_end(self, grading: Grading) -> Outcome:
        if self.plan.again:
            self._take_back_failed()
        try:
            await self._settle()
        except Stop as stop:
            self.stop(str(stop))
        self.budget.limit_usd = self.plan.budget_usd
        self._count_earlier_costs()
        done = self.results.done
        planned = list(tasks_of(self.plan.eval_set, self.plan.models, self.plan.epochs, self.plan.limit))
        tasks = iter([task for task in planned if task.done not in done])
        total = len(planned)
        agreements: dict[str, Agreement] = {}
        with _leaving_in_order(self.stop):
            try:
                self._raise_if_stopped()
                for grader in self.plan.eval_set.graders.graders:
                    if isinstance(grader, JudgeGrader) and (found := await grading.agreement(grader)) is not None:
                        agreements[grader.id] = found
            except Stop as stop:
                self.stop(str(stop))
            workers = [self._work(tasks, grading, total) for _ in range(self.plan.concurrency)]
            await asyncio.gather(*workers)
        with contextlib.suppress(Stop):
            await self._settle()
        wanted = {task.done for task in planned}
        lines = [line for line in self.results.lines if (line["sample_id"], line["epoch"], line["model"]) in wanted]
        known = [usd for _, usd in (*self.journal.paid, *self.journal.lost) if usd is not None]
        lost = [usd for _, usd in self.journal.lost if usd is not None]
        return Outcome(
            run_id=self.run_id,
            total=total,
            lines=lines,
            paid_usd=sum(known, Usd(0)),
            unpriced=sum(answered.cost_usd is None and answered.ending == "ok" for answered in self._answers()),
            lost_calls=self.journal.lost_calls,
            lost_usd=sum(lost, Usd(0)),
            lost_unknown=len(self.journal.lost) - len(lost),
            agreements=agreements,
            stopped=self.reason if len(lines) < total else "",
        )

    def stop(self, reason: str) -> None:
        """Calls that are under way end; no new one begins."""
        self.reason = self.reason or reason
        self.stopping.set()

    def _answers(self) -> Iterator[Answered]:
        return iter(self.journal.answered.values())

    def _take_back_failed(self) -> None:
        keys: list[str] = []
        judges = [grader for grader in self.plan.eval_set.graders.graders if isinstance(grader, JudgeGrader)]
        for line in self.results.take_back_failed():
            done = (line["sample_id"], line["epoch"], line["model"])
            if line["status"] != "grader_error":
                keys.append(json.dumps(["sample", *done]))
            keys += [key for grader in judges for key in judge_keys(grader, done)]
        self.journal.forget(keys)

    async def _settle(self) -> None:
        """Finds in the gateway's ledger what calls without an answer have cost."""
        lost = dict(self.journal.open)
        known = self.journal.known_ids | {str(line.get("call_id")) for line in self.results.lines}
        records = [record for record in await self.sidecar.calls() if record.id not in known and is_billed(record)]
        paid: list[tuple[str, Usd | None]] = [(record.model, cost_of(record)) for record in records]
        # The rest was asked of a sidecar that has forgotten it, or that it never reached.
        paid += [(model, None) for _, model in list(lost.values())[len(records) :]]
        if lost or records:
            self.journal.lose(lost, [record.id for record in records], paid)

    def _count_earlier_costs(self) -> None:
        for model, usd in self.journal.paid:
            self.budget.begin(model)
            self.budget.end(model, usd)
        for model, usd in self.journal.lost:
            self.budget.spent_usd += usd or self.budget.highest_usd.get(model, Usd(0))

    async def _work(self, tasks: Iterator[Task], grading: Grading, total: int) -> None:
        while not self.stopping.is_set():
            task = next(tasks, None)
            if task is None:
                return
            try:
                await self._result(task, grading)
            except Stop as stop:
                self.stop(str(stop))
            self.show(len(self.results.lines), total)

    async def _result(self, task: Task, grading: Grading) -> None:
        ask = self.plan.eval_set.graders.ask
        answered = await self.ask(task.key, task.model, body_of(task.line, ask, self.plan.eval_set.use_case))
        graded = Graded({}, 0.0)
        if answered.answer is not None:
            graded = await grading.grade(task, answered.answer)
        sample, version = task.line.sample, str(self.plan.eval_set.graders.version)
        row = Row(
            sample_id=sample.id, model=task.model, success=graded.success, epoch=task.epoch,
            status=_status(answered, graded), cluster=sample.cluster, slice=sample.slice, provider=answered.provider,
            run_id=self.run_id, set_hash=self.plan.eval_set.hash, params_hash=params_hash(ask),
            prompt_hash=prompt_hash(ask), price_version=answered.bundle, harness_version=f"pointsman {VERSION}",
            grader_versions={grader.id: version for grader in self.plan.eval_set.graders.graders},
            scores=graded.scores, in_tok=answered.in_tok, out_tok=answered.out_tok, cached_tok=answered.cached_tok,
            cost_usd=answered.cost_usd, ttft_ms=answered.ttft_ms, latency_ms=answered.latency_ms, ts=answered.at,
        )  # fmt: skip
        answer = answered.answer
        self.results.add(
            row,
            call_id=answered.call_id,
            answer=None if answer is None else answer.text,
            tool_calls=None if answer is None else [[call.name, call.arguments] for call in answer.tool_calls] or None,
            error=answered.error or graded.error,
            judge_usd=graded.judge_usd,
        )

    async def ask(self, key: str, target: str, body: bytes) -> Answered:
        """What was answered under this key, now or in an earlier run.

        Raises:
            Stop: no more calls are to be made.
        """
        known = self.journal.answered.get(key)
        if known is not None:
            return known
        await self._wait_for_room(target)
        cost: Usd | None = None
        number = self.journal.ask(key, target)
        try:
            answered = await self._until_answered(target, body)
            self.journal.end(number, answered)
            cost = answered.cost_usd
        except Stop:
            self.journal.refuse(number)
            raise
        finally:
            self.budget.end(target, cost)
            async with self.room:
                self.room.notify_all()
        self._look_at(target, answered)
        return answered

    async def _wait_for_room(self, target: str) -> None:
        async with self.room:
            while not self.budget.fits(target):
                self._raise_if_stopped()
                if not self.budget.open.total():
                    spent = f"${self.budget.spent_usd:f} of the budget of ${self.plan.budget_usd:f} are spent"
                    raise Stop(f"{spent}, and one more call of {target} could pass it; go on with a higher --budget")
                await self.room.wait()
            self._raise_if_stopped()
            self.budget.begin(target)

    async def _until_answered(self, target: str, body: bytes) -> Answered:
        waited, breaks = 0.0, 0
        while True:
            found = await self.sidecar.ask(target, body)
            match found:
                case Answered():
                    return found
                case ComeAgain(why, seconds):
                    seconds = seconds or min(30.0, 1.0 + waited)
                    waited += seconds
                    if waited > PATIENCE_SECONDS:
                        raise Stop(f"{target}: {why} (come again in {seconds:.0f} s)")
                    await self._pause(seconds)
                case BrokenOff(why):
                    breaks += 1
                    if breaks > MOST_BREAKS:
                        raise Stop(f"the sidecar at {self.url} does not answer ({why}); is it running?")
                    await self._pause(0.25 * 2**breaks)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        self._raise_if_stopped()

    def _look_at(self, target: str, answered: Answered) -> None:
        """Stops where going on would waste money or results."""
        if answered.ending in ("model_error", "timeout"):
            self.failures[target] += 1
            if self.failures[target] >= FAILURES_IN_A_ROW:
                number = self.failures[target]
                self.stop(f"{number} calls of {target} failed in a row, the last one with: {answered.error}")
        else:
            self.failures[target] = 0
        if self.plan.budget_usd is not None and answered.ending == "ok" and answered.cost_usd is None:
            self.stop(
                f"what {target} costs is not known, so that --budget cannot be kept; give it a price, or no budget"
            )

    def _raise_if_stopped(self) -> None:
        if self.stopping.is_set():
            raise Stop(self.reason)


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
