"""`pointsman eval run`: a real model through a real sidecar, killed on its way and started again.

`make evals` runs the whole example set on two real models; the test takes one of them, and short questions.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.demo import local_models
from schemas.record import CallRecord
from tests.fakes.processes import REPOSITORY, Child, eventually
from tests.fakes.sidecar import StartSidecar
from tests.fakes.simulator import SimulatorProcess

WHOLE = bool(os.environ.get("POINTSMAN_EVAL_WHOLE"))
SAMPLES = 250 if WHOLE else 20
AT_ONCE = 2
USE_CASE = "document-understanding"
MODELS = ("smollm2", "gemma3") if WHOLE else ("smollm2", "simulated")
VENDORS = {"smollm2": "hugging-face", "gemma3": "google", "simulated": "none"}
PRICES = {"smollm2": (0.10, 0.40), "gemma3": (0.20, 0.80), "simulated": (0.10, 0.40)}
"""US dollars per million tokens: made up, since whoever runs these pays for the electricity alone."""
SHORT_SET = "".join(
    json.dumps({"id": f"s{number:02}", "input": f"Say {number}.", "target": number}) + "\n" for number in range(20)
)
SHORT_GRADERS = "version: 1\ngraders: [{id: said, kind: numeric}]\nask: {max_output_tokens: 4, temperature: 0}\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """By model, its `base_url`."""
    folder = tmp_path_factory.mktemp("models")
    real = [name for name in MODELS if name != "simulated"]
    for name in real:
        if missing := local_models.available(name):
            pytest.fail(f"{missing} — `make test` and `make evals` install what they need", pytrace=False)
    with ExitStack() as ends:
        child = Child.start(
            ["-m", "controller.demo.local_models", *(f"{name}=0" for name in real)], log=folder / "models.log"
        )
        ends.callback(child.stop)
        urls = {name: child.wait_for(rf"^READY {name} (\S+)$", within_seconds=90)[1] for name in real}
        if "simulated" in MODELS:
            simulator = SimulatorProcess(folder, options=["--answer-tokens", "4"])
            ends.callback(simulator.stop)
            urls["simulated"] = f"{simulator.url}/v1"
        yield urls


@pytest.fixture(scope="module")
def rules(served: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example rules, with the small models in the catalogue."""
    folder = Path(shutil.copytree(REPOSITORY / "examples" / "rules", tmp_path_factory.mktemp("rules") / "rules"))
    for name, base_url in served.items():
        price, output = PRICES[name]
        provider = {"provider": f"local-{name}", "dialect": "openai", "base_url": base_url}
        model = {
            "model": name, "vendor": VENDORS[name], "context_window": 2048, "max_output_tokens": 512,
            "served_by": [{"provider": f"local-{name}", "name": name}],
            "prices": [{"from": "2026-01-01", "input": price, "output": output}],
        }  # fmt: skip
        for kind, file, document in (("providers", f"local-{name}", provider), ("models", name, model)):
            (folder / kind / f"{file}.yaml").write_text(yaml.safe_dump(document))
    if not WHOLE:
        eval_folder = folder / "use-cases" / USE_CASE / "eval"
        (eval_folder / "set.jsonl").write_text(SHORT_SET)
        (eval_folder / "graders.yaml").write_text(SHORT_GRADERS)
    return folder


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_run_that_is_killed_goes_on_and_asks_nothing_twice_that_was_answered(
    rules: Path, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    sidecar = start_sidecar(rules)
    out = tmp_path / "results.jsonl"
    words = ["-m", "controller", "eval", "run", str(rules), "--use-case", USE_CASE, "--sidecar", sidecar.url]
    words += [word for model in MODELS for word in ("--model", model)]
    words += ["--limit", str(SAMPLES), "--concurrency", str(AT_ONCE), "--out", str(out)]
    log = tmp_path / "run.log"

    first = Child.start(words, log=log)
    eventually(lambda: len(lines_of(out)) >= SAMPLES // 2 or not first.is_running(), within_seconds=900)
    first.kill()
    before = lines_of(out)
    assert SAMPLES // 2 <= len(before) < SAMPLES * len(MODELS), first.stderr()

    second = Child.start([*words, "--format", "json"], log=log)
    summary = json.loads(second.wait_for(r"^{.*", within_seconds=1800)[0])
    eventually(lambda: not second.is_running())
    assert second.stop() == 0, second.stderr()
    rows = lines_of(out)
    assert rows[: len(before)] == before
    assert len(rows) == SAMPLES * len(MODELS) == summary["results"]
    assert set(Counter((row["sample_id"], row["model"]) for row in rows).values()) == {1}
    assert {row["run_id"] for row in rows} == {summary["run_id"]}

    records = {record.id: record for record in sidecar.records() if record.agent == f"eval-{summary['run_id']}"}
    for row in rows:
        assert_is_of(row, records[row["call_id"]])
    lost = [record for record in records.values() if record.id not in {row["call_id"] for row in rows}]
    assert len(lost) <= AT_ONCE
    assert summary["lost"]["calls"] <= AT_ONCE
    assert Decimal(summary["paid_usd"]) == total_of(list(records.values()))
    assert Decimal(summary["lost"]["usd"]) == total_of(lost)
    assert summary["vendors"] == {model: VENDORS[model] for model in MODELS}

    scores = {model: found["success"] for model, found in summary["models"].items()}
    assert scores["smollm2"] > 0.1, "even so small a model says a number or two"
    words = ["--incumbent", str(out), "--incumbent-model", MODELS[0], "--candidate", str(out)]
    words += ["--candidate-model", MODELS[1], "--min-samples", str(SAMPLES), "--format", "json"]
    compare = Child.start(["-m", "controller", "eval", "compare", *words, "--accept", "L2"], log=log)
    comparison = json.loads(compare.wait_for(r"^{.*", within_seconds=60)[0])
    eventually(lambda: not compare.is_running())
    assert compare.stop() == 0
    assert comparison["n"] == SAMPLES
    assert comparison["diff"] == pytest.approx(scores[MODELS[1]] - scores[MODELS[0]])
    assert not [lint for lint in comparison["lints"] if lint["code"] != "L2"]
    if WHOLE:
        print(json.dumps({"summary": summary, "comparison": comparison}, indent=1))


def assert_is_of(row: dict[str, Any], record: CallRecord) -> None:
    """A result holds what the gateway's own ledger says of its call."""
    assert record.outcome == "ok"
    assert [(attempt.model, attempt.reason) for attempt in record.attempts] == [(row["model"], "pinned")]
    assert record.usage is not None
    assert (row["in_tok"], row["out_tok"]) == (record.usage.input_tokens, record.usage.output_tokens)
    assert Decimal(row["cost_usd"]) == record.cost_usd
    assert row["latency_ms"] == pytest.approx(record.seconds * 1000, abs=0.1)


def total_of(records: list[CallRecord]) -> Decimal:
    return sum((record.wasted_usd + (record.cost_usd or 0) for record in records), Decimal(0))
