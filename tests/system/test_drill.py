"""`pointsman drill --real`: sidecars that it starts, an outage that it makes, and a use case's own eval set."""

import json
from pathlib import Path

import pytest

from controller.cli import main
from controller.review.findings import parse_findings
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

VENDOR = "red-vendor"
SET = "".join(
    json.dumps({"id": f"s{number}", "input": f"Is {number} even?", "target": "yes" if number % 5 else "no"}) + "\n"
    for number in range(20)
)
EVAL = {"set.jsonl": SET, "graders.yaml": "version: 1\ngraders: [{id: right, kind: exact}]\n"}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory, start_simulator: StartSimulator) -> Path:
    """`support` is graded and has a worse model to fall back on, `chat` an equal one, `alone` none."""
    makers = {name: start_simulator(name) for name in ("red", "green", "blue")}
    makers["red"].fault({"text": "yes"})
    makers["green"].fault({"text": "yes"})
    makers["blue"].fault({"text": "I cannot say."})
    folder = tmp_path_factory.mktemp("rules")
    chains = {"support": ("red", "blue"), "chat": ("red", "green"), "alone": ("red",), "other": ("green",)}
    made = files(
        [Door(name, "anthropic" if name == "green" else "openai", maker.url) for name, maker in makers.items()],
        {name: use_case(*chain, name=name) for name, chain in chains.items()},
    )
    for name in ("support", "chat"):
        made |= {f"use-cases/{name}/eval/{file}": text for file, text in EVAL.items()}
    for path, text in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_an_outage_shows_what_survives_at_what_quality_latency_and_cost(
    rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["drill", str(rules), "--vendor", VENDOR, "--real", "--samples", "10", "--write", "--today", "2026-11-26"]
    assert main([*words, "--format", "json"]) == 1
    outcomes = {one["use_case"]: one for one in json.loads(capsys.readouterr().out)["use_cases"]}
    assert {name: one["verdict"] for name, one in outcomes.items()} == {
        "support": "degraded", "chat": "survives", "alone": "stops",
    }  # fmt: skip
    chat, support, alone = (outcomes[name] for name in ("chat", "support", "alone"))
    assert chat["usual"]["models"] == {"red": 10}
    assert chat["outage"]["models"] == {"green": 10}
    assert chat["usual"]["quality"] == chat["outage"]["quality"] > 0.5
    assert support["outage"]["quality"] == 0
    assert float(chat["outage"]["spent_usd"]) > 0
    assert chat["outage"]["p95_seconds"] > 0
    assert (alone["outage"]["asked"], alone["outage"]["answered"], alone["outage"]["quality"]) == (5, 0, None)
    assert sum(alone["outage"]["errors"].values()) == 5

    kept = sorted(rules.glob("use-cases/*/evidence/*.json"))
    assert [file.name for file in kept] == [f"2026-11-26-drill-{VENDOR}-real.json"] * 3
    findings = parse_findings({file.relative_to(rules).as_posix(): file.read_text() for file in kept})
    assert {(one.use_case, one.on, one.verdict, one.expires.isoformat()) for one in findings.drilled} == {
        (name, "sidecar", one["verdict"], "2027-02-24") for name, one in outcomes.items()
    }
    assert main(["check", str(rules), "--today", "2026-11-26"]) == 0
    assert "error" not in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["refused", "429", "500"])
def test_however_they_fail_calls_are_answered(rules: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    words = ["drill", str(rules), "--vendor", VENDOR, "--real", "--use-case", "chat", "--samples", "3"]
    assert main([*words, "--fault", fault]) == 0
    shown = capsys.readouterr().out
    assert "chat" in shown
    assert "survives" in shown
    assert "3 of 3" in shown


def test_what_is_not_hit_cannot_be_rehearsed(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", str(rules), "--vendor", VENDOR, "--real", "--use-case", "other"]) == 2
    assert "those that are: alone, chat, support" in capsys.readouterr().err
