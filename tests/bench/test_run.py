"""A whole run of the bench, as short as it gets: that it measures, not how fast anything is."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS, TARGETS
from tests.bench.native import Programs
from tests.bench.report import LINES
from tests.bench.translation import KINDS

ROOT = Path(__file__).parents[2]
BRIEFLY = ("--rounds", "1", "--scale", "0.02", "--memory-calls", "200")


@pytest.fixture
def run_bench(programs: Programs, tmp_path: Path) -> Any:
    cache = programs.load.parents[1]

    def run(*arguments: str) -> tuple[str, dict[str, Any]]:
        numbers = tmp_path / "numbers.json"
        command = [sys.executable, "-m", "tests.bench", *BRIEFLY, "--json", str(numbers), *arguments]
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        table = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        return table, json.loads(numbers.read_bytes())

    return run


def test_a_run_measures_every_line_of_the_table_without_errors(run_bench: Any) -> None:
    table, numbers = run_bench("--only", "direct,R")
    rows = numbers["rows"]
    assert list(rows) == ["direct", "R"]
    for row in rows.values():
        assert (row["missing"], row["failures"], row["errors"]) == ("", [], 0)
        assert row["calls"] > 0
        assert row["median"]["c1.p50_us"] <= row["median"]["c1.p99_us"]
        assert row["median"]["s32.age_p50_us"] >= 0
    measured = rows["R"]["median"]
    assert {line.metric for line in LINES} <= measured.keys()
    assert all(measured[line.metric] > 0 for line in LINES if not line.metric.endswith("added_us"))
    assert rows["direct"]["ratio"]["c1.p50_us"] > 0
    assert rows["R"]["ratio"] == {}
    assert "calls/s, 32 connections" in table


def test_a_gateway_that_does_not_start_is_told_and_the_others_are_measured(run_bench: Any) -> None:
    table, numbers = run_bench(
        "--only", "direct,sidecar", "--gateway-cmd", "{python} -c 'raise SystemExit(\"no rules\")'"
    )
    rows = numbers["rows"]
    assert rows["sidecar"]["missing"] == "did not start: no rules"
    assert rows["direct"]["median"]["c32.calls_per_second"] > 0
    assert "sidecar: did not start: no rules" in table


def test_a_row_whose_calls_go_elsewhere_is_not_measured(run_bench: Any) -> None:
    passes_on = "{python} tests/bench/refs/aiohttp_passthrough.py {port} {upstream}"
    _, numbers = run_bench("--only", "sidecar-cross", "--gateway-cmd", passes_on)
    row = numbers["rows"]["sidecar-cross"]
    assert "another dialect" in row["missing"]
    assert row["calls"] == 0


def test_translation_is_measured_for_every_pair_of_dialects_without_a_server(run_bench: Any) -> None:
    table, numbers = run_bench("--only", "translation")
    assert numbers["rows"] == {}
    assert set(numbers["translation"]) == {f"{caller} to {target}" for caller in DIALECTS for target in TARGETS}
    for (measured,) in numbers["translation"].values():
        assert set(measured) == set(KINDS)
        assert all(microseconds > 0 for microseconds in measured.values())
    assert len(re.findall(r"\(×\d", table)) == len(KINDS) * len(DIALECTS) * (len(TARGETS) - 1)
