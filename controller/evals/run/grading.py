"""One answer to its worth: graders that need nothing, a team's own processes, and judges, in this order."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from controller.evals.graders import judge
from controller.evals.graders.answer import Answer
from controller.evals.graders.combine import PASSES, success_of
from controller.evals.graders.plain import grade
from controller.evals.graders.python import PythonProcess
from controller.evals.run.answers import Answered
from controller.evals.run.asking import Done, Task, judge_body
from controller.evals.stats.judge import Agreement
from schemas.eval_files import EvalSet
from schemas.eval_set import parse_calibration
from schemas.record import Usd
from schemas.rules.graders import JudgeGrader, PythonGrader

Ask = Callable[[str, str, bytes], Awaitable[Answered]]
"""Takes a call's key, its target and its body; asks nothing twice that was answered under the key."""

JUDGE: Final = "judge"
CALIBRATION: Final = "calibration"


@dataclass(frozen=True, slots=True)
class Graded:
    scores: Mapping[str, float | None]
    """By grader, of those that were asked."""
    success: float | None
    error: str = ""
    """Why a grader could not tell."""
    judge_usd: Usd | None = None
    """What the judges cost; None where there are none, or where it is not known."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    value: float | None
    error: str
    usd: Usd | None


class Grading:
    """As a context: the processes of a team's own graders live as long as it."""

    def __init__(self, eval_set: EvalSet, ask: Ask) -> None:
        self._set = eval_set
        self._ask = ask
        self._graders = eval_set.graders
        self._processes: dict[str, PythonProcess] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for grader in self._graders.graders:
            if isinstance(grader, PythonGrader):
                process = PythonProcess(grader, self._set.files[grader.file])
                self._processes[grader.id] = await self._stack.enter_async_context(process)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def grade(self, task: Task, answer: Answer) -> Graded:
        sample = task.line.sample
        scores: dict[str, float | None] = {}
        errors: list[str] = []
        paid: list[Usd | None] = []
        judges = []
        for grader in self._graders.graders:
            match grader:
                case JudgeGrader():
                    judges.append(grader)
                case PythonGrader():
                    scores[grader.id], error = await self._processes[grader.id].grade(task.line.data, answer)
                    errors += [f"{grader.id}: {error}"] if error else []
                case _:
                    scores[grader.id] = grade(grader, answer, sample.target, self._set.files)
                    errors += [f"{grader.id}: it took too long"] if scores[grader.id] is None else []
        gates = [scores.get(grader.id) for grader in self._graders.graders if grader.gate]
        if any(value is not None and value < PASSES for value in gates):
            # It counts as 0 whatever a judge would say, whom somebody would have to pay.
            return Graded(scores, 0.0, "; ".join(errors))
        for grader in judges:
            key = (JUDGE, grader.id, *task.done)
            questions = judge.questions(
                grader, self._set.files[grader.rubric], sample.input, answer.text, task.line.data.get("target")
            )
            verdict = await self._judged(grader, key, tuple(questions))
            scores[grader.id] = verdict.value
            paid.append(verdict.usd)
            errors += [f"{grader.id}: {verdict.error}"] if verdict.error else []
        known = [usd for usd in paid if usd is not None]
        judge_usd = sum(known, Usd(0)) if known and len(known) == len(paid) else None
        return Graded(scores, success_of(self._graders, scores), "; ".join(errors), judge_usd)

    async def agreement(self, grader: JudgeGrader) -> Agreement | None:
        """Of a judge with people, on its calibration; None without one, or where it gave no verdict at all."""
        if grader.calibration is None:
            return None
        lines, _ = parse_calibration(grader.calibration, self._set.files[grader.calibration])
        rubric = self._set.files[grader.rubric]
        judged = []
        for line in lines:
            sample = line.sample
            questions = judge.questions(grader, rubric, sample.input, sample.answer, line.data.get("target"))
            verdict = await self._judged(grader, (CALIBRATION, grader.id, sample.id), tuple(questions))
            if verdict.value is not None:
                judged.append((verdict.value, sample.human))
        return judge.agreement(grader, judged)

    async def _judged(
        self, grader: JudgeGrader, key: Sequence[object], questions: Sequence[judge.Messages]
    ) -> _Verdict:
        said: list[str] = []
        paid: list[Usd | None] = []
        for order, question in enumerate(questions):
            body = judge_body(question, grader.max_output_tokens, self._set.use_case)
            answered = await self._ask(json.dumps([*key, order]), grader.model, body)
            paid.append(answered.cost_usd)
            if answered.answer is None:
                return _Verdict(None, answered.error or answered.ending, None)
            said.append(answered.answer.text)
        value = judge.value_of(grader, said)
        known = [usd for usd in paid if usd is not None]
        usd = sum(known, Usd(0)) if len(known) == len(paid) else None
        return _Verdict(value, "" if value is not None else "its verdict cannot be read", usd)


def judge_keys(grader: JudgeGrader, done: Done) -> list[str]:
    return [json.dumps([JUDGE, grader.id, *done, order]) for order in (0, 1)]
