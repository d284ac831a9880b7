"""A use case's own samples, asked of a sidecar as its agents would: who answered, how well, how fast, at what cost."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from controller.evals.run.answers import Answered
from controller.evals.run.asking import Task, body_of, chosen, encode
from controller.evals.run.grading import Grading
from controller.evals.run.sidecar import BrokenOff, ComeAgain, Sidecar, Stop
from schemas.eval_files import EvalSet
from schemas.record import Usd

WITHOUT_A_SET: Final = 5
"""Calls of a use case that has no eval set: they show who answers, and not how well."""
PLAIN_QUESTION: Final = "Reply with one word: ready."
ROUTED: Final = ""
"""No target: the rules decide who answers."""


@dataclass(slots=True)
class Arm:
    """What became of the questions with everybody there, or with somebody down."""

    asked: int = 0
    answered: int = 0
    graded: int = 0
    passed: float = 0.0
    """Sum of what graders gave, each from 0 to 1."""
    spent_usd: Decimal = Decimal(0)
    unpriced: int = 0
    """Answers whose cost nobody knows."""
    seconds: list[float] = field(default_factory=list)
    """Of answers."""
    models: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """What callers were told."""

    @property
    def quality(self) -> float | None:
        """Of all that was asked: who gets no answer is not served. None: nothing was graded."""
        return self.passed / self.asked if self.graded else None

    @property
    def p95_seconds(self) -> float | None:
        return sorted(self.seconds)[max(0, -(-len(self.seconds) * 95 // 100) - 1)] if self.seconds else None


async def ask(
    url: str, judge_url: str, use_case: str, eval_set: EvalSet | None, samples: int, concurrency: int, agent: str
) -> Arm:
    """Each question once.

    Args:
        judge_url: the sidecar through which models that judge are asked: none of theirs is down there.
        samples: at most so many, always the same ones.

    Raises:
        Stop: the sidecar takes none of them, for a reason that is not the outage.
    """
    arm = Arm()
    async with Sidecar(url, use_case, agent) as sidecar, Sidecar(judge_url, use_case, f"{agent}-judge") as judges:

        async def judged(key: str, target: str, body: bytes) -> Answered:
            given = await judges.ask(target, body)
            if isinstance(given, Answered):
                return given
            raise Stop(f"a judge does not answer: {given.why}")

        async with contextlib.AsyncExitStack() as stack:
            grading = None if eval_set is None else await stack.enter_async_context(Grading(eval_set, judged))
            questions = iter(_questions(eval_set, use_case, samples))

            async def work() -> None:
                for task, body in questions:
                    given = await sidecar.ask(ROUTED, body)
                    await _count(arm, given, task, grading)

            await asyncio.gather(*(work() for _ in range(concurrency)))
        arm.models.update(record.model for record in await sidecar.calls() if record.outcome == "ok")
    return arm


def _questions(eval_set: EvalSet | None, use_case: str, samples: int) -> Sequence[tuple[Task | None, bytes]]:
    if eval_set is None:
        body = encode({"model": use_case, "messages": [{"role": "user", "content": PLAIN_QUESTION}]})
        return [(None, body)] * min(samples, WITHOUT_A_SET)
    lines = chosen(eval_set.lines, samples)
    return [(Task(line, 1, ROUTED), body_of(line, eval_set.graders.ask, use_case)) for line in lines]


async def _count(arm: Arm, given: Answered | ComeAgain | BrokenOff, task: Task | None, grading: Grading | None) -> None:
    arm.asked += 1
    if not isinstance(given, Answered):
        arm.errors[given.why] += 1
        return
    arm.spent_usd += given.cost_usd or Usd(0)
    if given.answer is None:
        arm.errors[given.error or given.ending] += 1
        return
    arm.answered += 1
    arm.unpriced += given.cost_usd is None
    if given.latency_ms is not None:
        arm.seconds.append(given.latency_ms / 1000)
    if task is not None and grading is not None:
        success = (await grading.grade(task, given.answer)).success
        arm.graded += success is not None
        arm.passed += success or 0.0
