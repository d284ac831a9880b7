"""An outage on paper: by the rules alone, and with the calls that were recorded."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.cli import main
from controller.drill.paper import NobodyIsDown, down_of, rehearse
from controller.plan.replay import Replay
from controller.plan.side import Side
from sidecar.routing.snapshot import build_snapshot
from tests.fakes.rules_repo import write_files
from tests.system.rules import use_case
from tests.unit.controller.plan.rules import TODAY, call, loaded, rules

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def drilled(text: str, down: dict[str, str], *, calls: int = 0) -> Any:
    bundle = loaded(text).bundle
    assert bundle is not None
    replay = None
    if calls:
        replay = Replay(Side(bundle, TODAY.isoformat()), Side(bundle, TODAY.isoformat(), down))
        for number in range(calls):
            replay.add(call(number))
    (outcome,) = rehearse(bundle, build_snapshot(bundle), down, replay, NOON).use_cases
    return outcome


@pytest.mark.parametrize(
    ("text", "down", "verdict", "instead"),
    [
        (use_case("red", "green"), "red", "survives", ("green@green-maker",)),
        (use_case("red", "green"), "green-maker", "survives", ("red@red-maker",)),
        (use_case("red"), "red", "stops", ()),
        (use_case("red"), "green", "untouched", ("red@red-maker",)),
    ],
)
def test_by_the_rules_alone(text: str, down: str, verdict: str, instead: tuple[str, ...]) -> None:
    outcome = drilled(text, {down: "down"})
    assert (outcome.verdict, outcome.instead, outcome.calls) == (verdict, instead, None)
    assert bool(outcome.why) is (verdict == "stops")


def test_recorded_calls_say_how_many_and_at_what_cost() -> None:
    outcome = drilled(use_case("red", "green"), {"red": "down"}, calls=10)
    assert (outcome.verdict, outcome.calls, outcome.hit, outcome.refused) == ("survives", 10, 10, 0)
    assert outcome.after_usd > outcome.before_usd > 0
    assert outcome.records == {"green": None}, "nobody has called it yet"


def test_calls_that_only_the_vendor_that_is_down_could_answer_are_refused() -> None:
    text = use_case("red", "green", more="rules:\n  - {when: {input_tokens: {under: 5000}}, primary: red}\n")
    outcome = drilled(text, {"red": "down"}, calls=10)
    assert (outcome.verdict, outcome.hit, outcome.refused) == ("stops", 10, 10)


def test_a_vendor_is_down_with_all_its_models_and_an_unknown_one_is_named() -> None:
    bundle = loaded().bundle
    assert bundle is not None
    assert down_of(bundle, ["red-vendor"], ["green-maker"]) == {"red": "down", "green-maker": "down"}
    with pytest.raises(NobodyIsDown, match="the rules have green-vendor, red-vendor"):
        down_of(bundle, ["blue"], [])
    with pytest.raises(NobodyIsDown, match="the rules have green-maker, red-maker"):
        down_of(bundle, [], ["blue"])


def test_the_command_keeps_its_result_as_evidence_that_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, rules())
    records = tmp_path / "calls.jsonl"
    records.write_bytes(b"\n".join(msgspec.json.encode(call(number)) for number in range(30)))
    words = ["drill", str(tmp_path), "--vendor", "red-vendor", "--records", str(records), "--today", TODAY.isoformat()]
    assert main([*words, "--format", "json", "--write"]) == 0
    (outcome,) = json.loads(capsys.readouterr().out)["use_cases"]
    assert (outcome["verdict"], outcome["hit"], outcome["refused"]) == ("survives", 30, 0)
    kept = json.loads((tmp_path / "use-cases/support/evidence/2026-11-24-drill-red-vendor.json").read_text())
    assert (kept["kind"], kept["on"], kept["expires"]) == ("drill", "paper", "2027-02-22")
    assert main(["check", str(tmp_path), "--today", TODAY.isoformat()]) == 0


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_a_use_case_that_would_stop_is_the_commands_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    write_files(tmp_path, rules(use_case("red")))
    words = ["drill", str(tmp_path), "--today", TODAY.isoformat(), "--format", form]
    assert main([*words, "--vendor", "red-vendor"]) == 1
    said = capsys.readouterr().out
    assert "1 of 1 use cases would refuse calls: support" in said
    assert "nobody is left (red@red-maker: down)" in said
    assert main(words) == 2


def test_a_result_that_cannot_be_kept_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, rules())
    (tmp_path / "use-cases/support/evidence").write_text("a file in the folder's place")
    words = ["drill", str(tmp_path), "--vendor", "red-vendor", "--today", TODAY.isoformat(), "--write"]
    assert main(words) == 1
    assert "evidence" in capsys.readouterr().err
