"""The primary is killed under load: callers see no error, headers and books say what happened, and traffic returns."""

import json
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

from tests.fakes.controller import StartController
from tests.fakes.load import Came, Load, counted
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

PACE = ["--chunk-delay", "0.01"]
RETURN_SECONDS = 20.0
"""The first rest of a target is 5 s; on a slow machine a probe may find it still down, and the next one is 10 s."""
LOST = {"connection_lost", "unreachable", "stream_cut", "breaker_open"}
"""Reasons to leave a provider whose process is gone."""


def test_a_killed_primary_costs_no_caller_its_answer(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    primary, fallback = start_simulator("alpha", options=PACE), start_simulator("beta", options=PACE)
    for simulator in (primary, fallback):
        simulator.fault({"first_token_delay": 0.02})
    doors = [Door("alpha", "openai", primary.url), Door("beta", "anthropic", fallback.url)]
    repo = RulesRepo(tmp_path / "rules")
    repo.commit(files(doors, {"support": use_case("alpha", "beta")}))
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    sidecar = start_sidecar(controller.url, options=["--controller-token", str(controller.token_file)])

    with Load([lambda: sidecar.url]) as load:
        load.wait_for(100)
        killed = time.time()
        primary.kill()
        load.wait_for(120)
        back = time.time()
        revived = start_simulator("alpha", port=primary.port, options=PACE)
        eventually(lambda: any(came.began > back and came.headers.get("x-pointsman-model") == "alpha"
                               for came in load.came[-50:]), RETURN_SECONDS)  # fmt: skip
        load.wait_for(100)
        came = load.stop()

    # Streams that had begun at the killed primary: an error event, no false end mark. No other call saw anything.
    broken = [call for call in came if not call.is_whole]
    for call in broken:
        assert was_open_at(call, killed), f"{call}\n{counted(came)}"
        assert call.kind.stream, call
        assert call.model == "alpha"
        assert call.has_error_event, call
        assert not call.has_end_mark, call

    assert {call.model for call in came if call.ended < killed} == {"alpha"}
    while_down = [call for call in came if killed < call.began and call.ended < back]
    assert {call.model for call in while_down} == {"beta"}
    assert {call.reason for call in while_down} <= LOST
    assert all((call.attempts == 1) == (call.reason == "breaker_open") for call in while_down)
    assert any(call.reason == "breaker_open" for call in while_down)
    assert {call.model for call in came[-20:]} == {"alpha"}
    assert {(call.reason, call.attempts) for call in came[-20:]} == {("primary", 1)}
    assert revived.entries()

    # The books say the same as the headers did.
    eventually(lambda: controller.requests() == len(came))
    eventually(lambda: sidecar.status().spooled_records == 0)
    booked = {row["id"]: row for row in controller.calls()}
    for call in came:
        row = booked[call.id]
        assert (row["model"], row["reason"], len(json.loads(row["attempts"]))) == (
            call.model, call.reason, call.attempts,
        ), call  # fmt: skip
        assert row["outcome"] == ("ok" if call.is_whole else "stream_cut")
    rows = controller.usage("model,outcome")
    sums = {(row["model"], row["outcome"]): row["requests"] for row in rows if row["requests"]}
    # What a failed attempt has wasted stands with its own target, whoever answered the call.
    assert all(row["requests"] or Decimal(row["wasted_usd"]) for row in rows)
    assert sums == Counter((call.model, "ok" if call.is_whole else "stream_cut") for call in came)


def was_open_at(call: Came, moment: float) -> bool:
    return call.began < moment < call.ended
