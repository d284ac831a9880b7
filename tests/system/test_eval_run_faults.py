"""Runs of an eval set through a real sidecar, whose provider is simulated: limits, faults, money, judges."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.evals.read import load_results
from controller.evals.run.calls import FAILURES_IN_A_ROW
from controller.evals.run.journal import Journal, JournalUnusable
from controller.evals.run.run import Outcome, Plan, Show, run
from controller.evals.run.summary import as_summary
from schemas.eval_files import EvalSet, load_eval
from tests.fakes import bundles
from tests.fakes.proxy import proxy_to
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator

MODELS = ("alpha", "beta", "unpriced", "judge")
KEY, PLAIN_KEY = "key-of-the-eval-runner", "key-of-an-agent"
EXACT = "version: 1\ngraders: [{id: exact, kind: exact}]\n"


@pytest.fixture(scope="module")
def shared_simulator(start_simulator: StartSimulator) -> SimulatorProcess:
    return start_simulator("evals", options=["--answer-tokens", "3"])


@pytest.fixture
def simulator(shared_simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    shared_simulator.clear()
    yield shared_simulator
    shared_simulator.clear()


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, shared_simulator: SimulatorProcess) -> SidecarProcess:
    rules = bundles.bundle(
        {"sim": bundles.provider("openai", shared_simulator.url)},
        {name: bundles.model("sim", name=name, price=None if name == "unpriced" else bundles.CHEAP) for name in MODELS},
        {"chat": bundles.use_case("alpha")},
        callers=[bundles.caller("evals", KEY, pin=True), bundles.caller("agent", PLAIN_KEY)],
    )
    return start_sidecar(rules)


def set_of(samples: int, graders: str = EXACT, **files: str) -> EvalSet:
    lines = [{"id": f"s{number:02}", "input": f"Question {number}?", "target": "yes"} for number in range(samples)]
    below = {"set.jsonl": "\n".join(map(json.dumps, lines)), "graders.yaml": graders}
    found, problems = load_eval("chat", below | {name.replace("_", "."): text for name, text in files.items()}, None)
    assert found is not None, problems
    return found


class Runs:
    """The same file, run after run."""

    def __init__(self, sidecar: SidecarProcess, out: Path) -> None:
        self.sidecar, self.out = sidecar, out

    def __call__(
        self, eval_set: EvalSet, *models: str, key: str | None = KEY, url: str | None = None,
        show: Show = lambda done, total: None, **plan: Any,
    ) -> Outcome:  # fmt: skip
        planned = Plan(eval_set=eval_set, models=models or ("alpha", "beta"), **{"epochs": 1, **plan})
        return asyncio.run(run(planned, self.out, url or self.sidecar.url, key, show))

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines()]


@pytest.fixture
def runs(sidecar: SidecarProcess, tmp_path: Path) -> Runs:
    return Runs(sidecar, tmp_path / "results.jsonl")


def test_answers_become_results_that_compare_reads(runs: Runs, simulator: SimulatorProcess) -> None:
    simulator.fault({"text": "yes"}, model="alpha")
    simulator.fault({"refusal": True}, model="beta")
    outcome = runs(set_of(6), epochs=2)
    assert (outcome.done, outcome.total, outcome.stopped) == (24, 24, "")
    results = load_results(runs.out)
    assert not results.problems
    alpha, beta = (results.of_model(model) for model in ("alpha", "beta"))
    assert {row.success for row in alpha} == {1.0}
    assert {(row.success, row.status) for row in beta} == {(0.0, "refusal")}
    assert {(row.sample_id, row.epoch) for row in alpha} == {(row.sample_id, row.epoch) for row in beta}
    assert len(alpha) == 12
    assert sum(row.cost_usd or 0 for row in (*alpha, *beta)) == outcome.paid_usd > 0
    assert {row.provider for row in alpha} == {"sim"}
    assert len(simulator.entries()) == 24
    assert runs(set_of(6), epochs=2).done == 24, "there is nothing left to ask"
    assert len(simulator.entries()) == 24


def test_a_limit_is_waited_for(runs: Runs, simulator: SimulatorProcess) -> None:
    simulator.fault({"status": 429, "retry_after": 1}, model="alpha", times=2)
    outcome = runs(set_of(2), "alpha")
    assert (outcome.done, outcome.stopped) == (2, "")
    assert {row["status"] for row in runs.rows()} == {"ok"}


def test_a_model_that_is_down_ends_the_run_and_is_asked_again_when_it_is_back(
    runs: Runs, simulator: SimulatorProcess
) -> None:
    simulator.fault({"status": 500}, model="beta")
    outcome = runs(set_of(30))
    assert "calls of beta failed in a row" in outcome.stopped
    failed = [row for row in runs.rows() if row["model"] == "beta"]
    assert FAILURES_IN_A_ROW <= len(failed) <= FAILURES_IN_A_ROW + 4
    assert {(row["status"], row["success"], row.get("cost_usd")) for row in failed} == {("model_error", 0.0, None)}
    simulator.clear()
    outcome = runs(set_of(30), again=True)
    assert (outcome.done, outcome.stopped) == (60, "")
    assert {row["status"] for row in runs.rows()} == {"ok"}
    assert len(runs.rows()) == 60
    assert len(simulator.entries()) <= 60 - (len(failed) - FAILURES_IN_A_ROW), "what was answered is not asked again"


def test_a_budget_is_not_passed(runs: Runs, simulator: SimulatorProcess) -> None:
    simulator.fault({"text": "yes"})
    one = runs(set_of(20), "alpha", limit=1).paid_usd
    budget = one * Decimal("5.5")
    outcome = runs(set_of(20), "alpha", budget_usd=budget, concurrency=8)
    assert "of the budget of" in outcome.stopped
    assert 0 < outcome.paid_usd <= budget
    assert outcome.done == len(simulator.entries()) == 5
    assert runs(set_of(20), "alpha", budget_usd=one * 40).done == 20
    assert len(simulator.entries()) == 20


def test_a_budget_cannot_hold_what_has_no_price(runs: Runs, simulator: SimulatorProcess) -> None:
    outcome = runs(set_of(20), "unpriced", budget_usd=Decimal(1))
    assert "is not known" in outcome.stopped
    assert len(simulator.entries()) == 1
    assert runs(set_of(20), "unpriced").unpriced == 20
    assert {row.get("cost_usd") for row in runs.rows()} == {None}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"key": None}, "send a key"),
        ({"key": PLAIN_KEY}, "granted pin"),
        ({"models": ("nobody",)}, 'do not have "nobody"'),
        ({"url": "http://127.0.0.1:9"}, "no sidecar answers"),
    ],
)
def test_what_somebody_has_to_mend_is_said_and_nobody_is_asked(
    runs: Runs, simulator: SimulatorProcess, changed: dict[str, Any], why: str
) -> None:
    outcome = runs(set_of(3), *changed.pop("models", ()), **changed)
    assert why in outcome.stopped
    assert (outcome.done, outcome.lost_calls, simulator.entries()) == (0, 0, [])
    assert runs(set_of(3)).done == 6


def test_results_of_another_set_are_not_mixed(runs: Runs, simulator: SimulatorProcess) -> None:
    runs(set_of(2))
    with pytest.raises(JournalUnusable, match="another set or other graders"):
        runs(set_of(3))
    journal = runs.out.with_name(f"{runs.out.name}.calls")
    with Journal(journal), pytest.raises(JournalUnusable, match="another run"):
        runs(set_of(2))
    journal.unlink()
    with pytest.raises(JournalUnusable, match="is not beside it"):
        runs(set_of(2))
    assert len(runs.rows()) == 4


def test_calls_that_were_under_way_when_it_was_killed_are_paid_for(runs: Runs, simulator: SimulatorProcess) -> None:
    """One that the sidecar still knows, and one that it does not."""
    simulator.fault({"text": "yes"})
    run_id = runs(set_of(4), "alpha", limit=1).run_id
    (row,) = runs.rows()
    journal = runs.out.with_name(f"{runs.out.name}.calls")
    with Journal(journal) as written:
        written.ask("one", "alpha")
        written.ask("two", "alpha")
    # As if its answer had come a moment too late.
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(line for line in lines if '"answered"' not in line) + "\n" + '{"asked": 9, "ke')
    runs.out.write_text(json.dumps(row)[:-7])
    outcome = runs(set_of(4), "alpha")
    assert (outcome.run_id, outcome.done, outcome.stopped) == (run_id, 4, "")
    assert (outcome.lost_calls, outcome.lost_unknown) == (3, 2)
    assert outcome.lost_usd == Decimal(row["cost_usd"])
    assert outcome.paid_usd == outcome.lost_usd + sum(Decimal(row["cost_usd"]) for row in runs.rows())
    again = runs(set_of(4), "alpha")
    assert (again.lost_calls, again.lost_usd, again.paid_usd) == (3, outcome.lost_usd, outcome.paid_usd)


def test_ctrl_c_lets_calls_that_are_paid_for_end(runs: Runs, simulator: SimulatorProcess) -> None:
    def interrupt_once(done: int, total: int) -> None:
        if done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    outcome = runs(set_of(20), "alpha", show=interrupt_once, concurrency=3)
    assert outcome.stopped == "interrupted"
    assert 0 < outcome.done == len(simulator.entries()) < 20
    assert runs(set_of(20), "alpha").done == 20
    assert len(simulator.entries()) == 20


async def test_an_answer_that_is_lost_on_its_way_is_asked_for_again_and_paid_for_twice(
    runs: Runs, simulator: SimulatorProcess
) -> None:
    """The run says so, by the gateway's own ledger."""
    simulator.fault({"text": "yes"})
    answers = 0

    async def lose_the_first(data: bytes) -> bytes:
        nonlocal answers
        answers += b"chat.completion" in data
        return b"" if answers == 1 and b"chat.completion" in data else data

    port = int(runs.sidecar.url.rpartition(":")[2])
    planned = Plan(eval_set=set_of(3), models=("alpha",), epochs=1)
    async with proxy_to(port, lose_the_first) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        outcome = await run(planned, runs.out, url, KEY, lambda done, total: None)
    assert (outcome.done, outcome.stopped) == (3, "")
    assert len(simulator.entries()) == 4
    cost = {Decimal(row["cost_usd"]) for row in runs.rows()}
    assert {outcome.lost_usd} == cost
    assert (outcome.lost_calls, outcome.lost_unknown, outcome.paid_usd) == (1, 0, 4 * outcome.lost_usd)


JUDGED = """version: 1
graders:
  - {id: brief, kind: regex, pattern: '\\A.{1,60}\\Z', gate: true}
  - {id: kind, kind: llm_judge, model: judge, rubric: rubric.md, calibration: calibration.jsonl}
"""
ANSWERS = [
    {"id": "a", "input": "Hi", "answer": "Hello", "human": 5},
    {"id": "b", "input": "Hi", "answer": "No", "human": 1},
]


def test_a_judge_is_asked_in_both_orders_and_held_against_people(runs: Runs, simulator: SimulatorProcess) -> None:
    files = {"rubric_md": "Is it kind?", "calibration_jsonl": "\n".join(map(json.dumps, ANSWERS))}
    eval_set = set_of(2, JUDGED, **files)
    simulator.fault({"text": "yes"}, model="alpha")
    simulator.fault({"text": "yes, " * 40}, model="beta")
    simulator.fault({"text": '{"reason": "so", "score": 5}'}, model="judge")
    outcome = runs(eval_set)
    assert outcome.done == 4
    rows = {model: [row for row in runs.rows() if row["model"] == model] for model in ("alpha", "beta")}
    assert {row["success"] for row in rows["alpha"]} == {1.0}
    assert {row["success"] for row in rows["beta"]} == {0.0}
    asked = [entry for entry in simulator.entries() if entry["model"] == "judge"]
    assert len(asked) == 2 * (2 + 2), "two answers to calibrate on, and two that pass the gate"
    assert {Decimal(row["judge_usd"]) > 0 for row in rows["alpha"]} == {True}
    total = sum(Decimal(row["cost_usd"]) + Decimal(row.get("judge_usd", 0)) for row in runs.rows())
    assert outcome.paid_usd > total, "the calibration is paid for too"
    summary = as_summary(outcome, eval_set, ("alpha", "beta"), {"judge": "other", "alpha": "one", "beta": "two"})
    (judge,) = summary["judges"]
    assert (judge["kappa"], judge["calibrated_on"], judge["vendor"]) == (0.0, 2, "other"), "it says 5 whatever comes"


def test_a_verdict_that_cannot_be_read_is_no_zero(runs: Runs, simulator: SimulatorProcess) -> None:
    eval_set = set_of(1, JUDGED.replace(", calibration: calibration.jsonl", ""), rubric_md="Is it kind?")
    simulator.fault({"text": "fine"})
    runs(eval_set, "alpha")
    (row,) = runs.rows()
    assert (row["success"], row["status"]) == (None, "grader_error")
    assert "its verdict cannot be read" in row["error"]
    simulator.clear()
    simulator.fault({"text": '{"score": 4}'}, model="judge")
    runs(eval_set, "alpha", again=True)
    (row,) = runs.rows()
    assert (row["success"], row["status"]) == (0.75, "ok")
    assert [entry["model"] for entry in simulator.entries()] == ["judge", "judge"], "the answer is not asked for again"


OWN = "import json\ndef grade(sample, answer):\n    return answer['text'] == sample['target']\n"


def test_a_team_s_own_function_grades(runs: Runs, simulator: SimulatorProcess) -> None:
    simulator.fault({"text": "yes"}, model="alpha")
    eval_set = set_of(3, "version: 1\ngraders: [{id: own, kind: python, file: own.py}]\n", own_py=OWN)
    runs(eval_set)
    assert {(row["model"], row["success"]) for row in runs.rows()} == {("alpha", 1.0), ("beta", 0.0)}
