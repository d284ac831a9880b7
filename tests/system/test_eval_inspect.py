"""`pointsman eval run --engine inspect`: Inspect AI through a real sidecar gives the verdict that a run of ours gives.

`make evals` installs Inspect AI into an environment of its own and runs this; where it is absent this is skipped.
"""

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controller.evals.read import load_results
from tests.fakes.processes import REPOSITORY
from tests.fakes.sidecar import SidecarProcess, StartSidecar

if importlib.util.find_spec("inspect_ai") is None:
    pytest.skip("Inspect AI is not installed; `make evals` installs and runs it", allow_module_level=True)

MODELS = ("large", "small")
SAMPLES = 60
KEY = "sk-of-the-eval-runner"
PARTS = {"a": {"type": "integer"}, "b": {"type": "number", "minimum": 0.5}}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": PARTS, "required": ["a", "b"]},
    },
}
TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import tool


@tool
def add():
    async def execute(a: int, b: int) -> int:
        '''Adds.

        Args:
            a: one number
            b: the other
        '''
        return a + b

    return execute


@task
def sums():
    samples = [Sample(id=f"sum-{n}", input=f"What is {n} + {n + 1}?", target=str(2 * n + 1)) for n in range(6)]
    return Task(dataset=samples, solver=[use_tools(add()), generate()], scorer=match(numeric=True))
"""


class Adding(BaseHTTPRequestHandler):
    """A provider of two models that add: `small` is wrong on sums that 3 divides, and refuses those above 115."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        turns = body["messages"]
        asked = next(turn["content"] for turn in reversed(turns) if turn["role"] == "user")
        a, b = map(int, re.findall(r"\d+", asked))
        total = a + b
        if body["model"] == "small" and total > 115:
            self.reply(400, {"error": {"message": "too much for me", "type": "invalid_request_error"}})
            return
        if body["model"] == "small" and total % 3 == 0:
            total += 1
        message: dict[str, Any] = {"role": "assistant", "content": f"{total}"}
        finish = "stop"
        if body.get("tools") and turns[-1]["role"] != "tool":
            call = {"name": "add", "arguments": json.dumps({"a": a, "b": b})}
            message = {"role": "assistant", "content": None}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
            finish = "tool_calls"
        usage = {"prompt_tokens": 10 + len(turns), "completion_tokens": 2, "total_tokens": 12 + len(turns)}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        self.reply(200, {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"],
                         "choices": [choice], "usage": usage})  # fmt: skip

    def reply(self, status: int, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Adding)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def rules(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rules")
    files = {
        "pointsman.yaml": f"""
            schema: 1
            callers: [{{name: eval-runner, key: "sha256:{hashlib.sha256(KEY.encode()).hexdigest()}", pin: true}}]
            """,
        "providers/adder.yaml": f"provider: adder\ndialect: openai\nbase_url: {provider}\n",
        "use-cases/sums/use-case.yaml": """
            use_case: sums
            owner: accounts
            description: Adds.
            class: experimental
            primary: large
            fallbacks: [small]
            """,
        "use-cases/sums/eval/graders.yaml": """
            version: 2
            graders:
              - {id: right, kind: numeric}
              - {id: brief, kind: regex, pattern: '\\A.{1,20}\\Z', gate: true}
            ask: {system: Answer with the number., max_output_tokens: 16, temperature: 0}
            """,
    }
    for name, price in (("large", 10), ("small", 1)):
        files[f"models/{name}.yaml"] = f"""
            model: {name}
            vendor: {name}-ltd
            context_window: 8192
            max_output_tokens: 512
            capabilities: [tools]
            served_by: [{{provider: adder, name: {name}}}]
            prices: [{{from: 2026-01-01, input: {price}, output: {price}}}]
            """
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    (root / "key").write_text(KEY)
    lines = []
    for n in range(SAMPLES):
        words = f"What is {n} + {n + 1}?"
        turns = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Yes?"}]
        asked = words if n % 2 else [*turns, {"role": "user", "content": words}]
        line = {"id": f"sum-{n}", "input": asked, "target": 2 * n + 1, "slice": "odd" if n % 2 else "even"}
        # A model that calls a tool here has not answered: nobody gives it the result.
        lines.append(line | ({"tools": [ADD]} if n % 10 == 7 else {}))
    (root / "use-cases/sums/eval/set.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture(scope="module")
def sidecar(rules: Path, start_sidecar: StartSidecar) -> SidecarProcess:
    return start_sidecar(rules)


def pointsman(*words: object) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "controller", "eval", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=REPOSITORY, check=False)
    return done.returncode, done.stdout, done.stderr


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def compared(incumbent: Path, candidate: Path) -> dict[str, Any]:
    arms = ("--incumbent", incumbent, "--incumbent-model", "large", "--candidate", candidate)
    status, out, err = pointsman(
        "compare", *arms, "--candidate-model", "small", "--min-samples", 50, "--accept", "L8", "--format", "json"
    )
    assert status == 0, out + err
    found: dict[str, Any] = json.loads(out)
    return found


def test_inspect_and_a_run_of_our_own_give_the_same_verdict(
    rules: Path, sidecar: SidecarProcess, tmp_path: Path
) -> None:
    words = [
        "run",
        rules,
        "--use-case",
        "sums",
        "--sidecar",
        sidecar.url,
        "--key",
        rules / "key",
        "--model",
        "large",
        "--model",
        "small",
    ]
    own, ours = tmp_path / "own.jsonl", tmp_path / "inspect.jsonl"
    status, _, err = pointsman(*words, "--out", own)
    assert status == 0, err
    status, out, err = pointsman(*words, "--engine", "inspect", "--out", ours, "--format", "json")
    assert status == 0, err
    summary = json.loads(out)

    def essence(path: Path) -> set[str]:
        """All that a row says but when and how fast."""
        alike = {"run_id": None, "harness_version": None, "ts": None, "latency_ms": None, "ttft_ms": None}
        return {repr(replace(row, **alike)) for row in load_results(path).rows}

    assert essence(ours) ^ essence(own) == set()
    assert len(rows_in(ours)) == SAMPLES * len(MODELS)

    records = [record for record in sidecar.records() if record.agent == f"eval-{summary['run_id']}"]
    assert {attempt.reason for record in records for attempt in record.attempts} == {"pinned"}
    assert Decimal(summary["paid_usd"]) == sum(record.wasted_usd + (record.cost_usd or 0) for record in records)

    imported = []
    for log in sorted((tmp_path / "logs").glob("*.eval")):
        imported.append(tmp_path / f"{log.stem}.jsonl")
        model = "large" if len(imported) == 1 else "small"
        named = ("--metric", "pointsman.success", "--model", model)
        assert pointsman("import", log, "--out", imported[-1], *named)[0] == 0
    by_own, by_inspect, by_log = compared(own, own), compared(ours, ours), compared(*imported)
    assert (by_own["verdict"], by_own["n"]) == ("inferior", SAMPLES)
    same = ("verdict", "n", "diff", "interval", "m_star", "mcnemar_p")
    assert [by_log[name] for name in same] == [by_own[name] for name in same]
    # Inspect has no prices of these models: its log alone says nothing of cost, the gateway does.
    same = (*same, "action", "cost_ratio", "cost_per_success")
    assert [by_inspect[name] for name in same] == [by_own[name] for name in same]
    assert (len(imported), [lint["code"] for lint in by_inspect["lints"]]) == (2, ["L8"])


def test_a_task_of_a_teams_own_uses_its_tools_through_the_sidecar(
    rules: Path, sidecar: SidecarProcess, tmp_path: Path
) -> None:
    task = tmp_path / "sums_task.py"
    task.write_text(TASK)
    out = tmp_path / "rows.jsonl"
    words = [
        "run",
        rules,
        "--use-case",
        "sums",
        "--sidecar",
        sidecar.url,
        "--key",
        rules / "key",
        "--model",
        "small",
        "--engine",
        "inspect",
    ]
    status, _, err = pointsman(*words, "--task", f"{task}@sums", "--out", out)
    assert status == 0, err
    rows = {row["sample_id"]: row for row in rows_in(out)}
    assert {name: row["success"] for name, row in rows.items()} == {
        f"sum-{n}": float((2 * n + 1) % 3 != 0) for n in range(6)
    }
    # Two calls for each: one that calls the tool, with one turn, and one with its result, with three.
    assert {(row["in_tok"], row["out_tok"], row["cost_usd"]) for row in rows.values()} == {(24, 4, "0.000028")}
    status, _, err = pointsman(*words, "--task", f"{task}@sums", "--out", out)
    assert (status, "name another --out" in err) == (2, True)


def test_a_sidecar_that_is_not_there_ends_the_run_without_rows(rules: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    words = ["run", rules, "--use-case", "sums", "--sidecar", "http://127.0.0.1:9", "--model", "small", "--limit", 1]
    status, _, err = pointsman(*words, "--engine", "inspect", "--out", out)
    assert (status, "is it running?" in err, out.exists()) == (1, True, False)
