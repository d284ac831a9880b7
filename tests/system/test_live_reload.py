"""Rule commits under load: no call fails, each is decided by one commit, breakers and connections outlive them.

100 of them in the tests; `make bench-fleet` has 1,000 (POINTSMAN_RELOADS).
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from schemas.bundle import digest_of, encode_bundle
from schemas.load import load as load_rules
from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Came, Load, counted, kinds
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.fakes.upstream import refusing_port
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

COMMITS = int(os.environ.get("POINTSMAN_RELOADS", "60"))
BROKEN_AFTER = COMMITS // 2
BURST, BETWEEN = (20, 24) if COMMITS <= 200 else (1, 2)
"""Commits as fast as git makes them, of which a controller sees some; the last of each is lived on for some calls. Of
many commits each is lived on."""
QUIET_CALLS = 400
FILES_MORE = 12
"""Open files that come and go by themselves: the controller's and callers' connections."""
PROBES = 60
"""Attempts at a target that is down, over all sidecars: those that open its breaker, then one after each rest, which
grows. A reload that forgot the breaker would add five each time."""
RELOAD_SECONDS = 1.0
"""From the controller's word that a revision is accepted to a sidecar's that it runs."""

ACTIVATED = re.compile(r"^(\S+ \S+) INFO rules\.activated revision=(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Commit:
    revision: str
    primary: str


def test_commits_under_load_drop_no_call_mix_no_rules_and_forget_nothing(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    pace = ["--chunk-delay", "0.04"]
    makers = [start_simulator("alpha", options=pace), start_simulator("beta", options=pace)]
    for maker in makers:
        maker.fault({"first_token_delay": 0.03})
    doors = [
        Door("red", "openai", makers[0].url),
        Door("green", "anthropic", makers[1].url),
        Door("blue", "openai", makers[1].url),
        Door("white", "anthropic", makers[0].url),
    ]
    primaries = cycle(door.model for door in doors)
    with refusing_port() as port:
        commit_under_load(tmp_path, start_controller, start_sidecar, doors, port, primaries)


def commit_under_load(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, doors: list[Door], port: int,
    primaries: Iterator[str],
) -> None:  # fmt: skip
    black = Door("black", "openai", f"http://127.0.0.1:{port}")
    beside = use_case("black", "white", name="beside", more="retry: {same_target: 0}\n")
    repo = RulesRepo(tmp_path / "rules")
    rules = files([*doors, black], {"support": use_case("white"), "beside": beside})
    commits = [Commit(repo.commit(rules), "white")]
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    options = ["--controller-token", str(controller.token_file), "--public-key", str(controller.public_key_file)]
    sidecars = [start_sidecar(controller.url, options=options) for _ in range(2)]

    urls = [lambda: sidecars[0].url, lambda: sidecars[1].url]
    with Load(urls, workers=12) as load, Load(urls, workers=4, ways=kinds("beside")) as of_the_dead:
        load.wait_for(QUIET_CALLS)
        quiet, opened = load.came[-QUIET_CALLS:], [open_files(sidecar) for sidecar in sidecars]
        commits += commit_in_bursts(repo, islice(primaries, BROKEN_AFTER), sidecars, load)
        breaks_nothing(repo, controller, sidecars, commits[-1], load)
        commits += commit_in_bursts(repo, islice(primaries, COMMITS - BROKEN_AFTER), sidecars, load)
        last = commits[-1].revision
        eventually(lambda: last in controller.accepted_at(), 10)
        eventually(lambda: all(sidecar.status().active.revision == last for sidecar in sidecars), RELOAD_SECONDS)
        load.wait_for(24)
        came = load.stop()
        still_open = [open_files(sidecar) for sidecar in sidecars]
        asked = of_the_dead.stop()

    assert all(call.is_whole for call in came), counted(came)
    expected = {digest_at(rules, commit): commit for commit in commits}
    for call in came:
        primary = expected[call.headers["x-pointsman-bundle"]].primary
        assert (call.model, call.attempts, call.reason) == (primary, 1, "primary"), call
        assert f'"{primary}-at-'.encode() in call.body, call

    assert all(now <= before + FILES_MORE for before, now in zip(opened, still_open, strict=True)), (opened, still_open)
    assert all(call.is_whole and call.model == "white" for call in asked), counted(asked)
    probes = sum(call.attempts > 1 for call in asked)
    assert probes <= PROBES, f"{probes} of {len(asked)} calls asked a target that is down"

    reloads = [activations(sidecar) for sidecar in sidecars]
    accepted = controller.accepted_at()
    del accepted[commits[0].revision]  # before there was a sidecar
    latencies = latencies_of(accepted, reloads)
    assert max(latencies) <= RELOAD_SECONDS
    over_reloads = sum(spans(call, reload) for call in came if call.kind.stream for reload in reloads[:1])
    assert over_reloads > 0
    served = {call.headers["x-pointsman-bundle"] for call in came}
    print(
        f"{len(came)} calls, {over_reloads} streams over a reload, {len(served)} bundles served; "
        f"{len(latencies)} reloads, p50 {median(latencies) * 1000:.0f} ms, max {max(latencies) * 1000:.0f} ms; "
        f"a target that is down was asked by {probes} of {len(asked)} calls; "
        f"plain calls without reloads {took(quiet)}, with {took(came)}"
    )
    assert len(served) >= COMMITS // BURST


def open_files(sidecar: SidecarProcess) -> int:
    return len(os.listdir(f"/proc/{sidecar.child.popen.pid}/fd"))


def took(came: Sequence[Came]) -> str:
    seconds = sorted(call.ended - call.began for call in came if not call.kind.stream)
    return f"p50 {median(seconds) * 1000:.0f} ms, p99 {seconds[len(seconds) * 99 // 100] * 1000:.0f} ms"


def commit_in_bursts(
    repo: RulesRepo, primaries: Iterator[str], sidecars: Sequence[SidecarProcess], load: Load
) -> list[Commit]:
    commits: list[Commit] = []
    while burst := [commit_primary(repo, primary) for primary in islice(primaries, BURST)]:
        commits += burst
        last = burst[-1].revision
        eventually(lambda last=last: all(sidecar.status().active.revision == last for sidecar in sidecars), 10)
        load.wait_for(BETWEEN)
    return commits


def breaks_nothing(
    repo: RulesRepo, controller: ControllerProcess, sidecars: Sequence[SidecarProcess], good: Commit, load: Load
) -> None:
    """A commit with a mistake: what ran goes on, and the mistake is named with its place to whoever asks."""
    eventually(lambda: all(sidecar.status().active.revision == good.revision for sidecar in sidecars), 10)
    moment = time.time()
    broken = repo.commit({USE_CASE_FILE: use_case("purple")})
    found = eventually(lambda: report if (report := controller.problems())["revision"] == broken else None)
    assert found["active_revision"] == good.revision
    (problem,) = [problem for problem in found["problems"] if problem["severity"] == "error"]
    assert (problem["file"], problem["line"], problem["column"]) == (USE_CASE_FILE, 5, 10)
    assert "purple" in problem["message"]
    load.wait_for(24)
    assert all(sidecar.status().active.revision == good.revision for sidecar in sidecars)
    assert {call.model for call in load.came if call.began > moment} == {good.primary}
    checked = subprocess.run(
        [sys.executable, "-m", "controller", "check", str(repo.path)], capture_output=True, text=True, timeout=20
    )
    assert checked.returncode == 1, checked.stderr
    assert f"{USE_CASE_FILE}:5:10" in checked.stdout


def commit_primary(repo: RulesRepo, primary: str) -> Commit:
    return Commit(repo.commit({USE_CASE_FILE: use_case(primary)}), primary)


def digest_at(rules: Mapping[str, str], commit: Commit) -> str:
    """The name of the bundle that a commit compiles to: equal commits give equal bytes."""
    text = dict(rules) | {USE_CASE_FILE: use_case(commit.primary)}
    bundle = load_rules(text, today=date(2026, 11, 1), revision=commit.revision).bundle
    assert bundle is not None
    return digest_of(encode_bundle(bundle))


def activations(sidecar: SidecarProcess) -> dict[str, float]:
    """Revisions that a sidecar has activated, each with the Unix time that its log gives."""
    return {
        revision: datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f").timestamp()
        for at, revision in ACTIVATED.findall(sidecar.stderr())
    }


def latencies_of(accepted: Mapping[str, float], reloads: Sequence[Mapping[str, float]]) -> list[float]:
    """Seconds from the controller's word to each sidecar's; the word may be read a moment after it was said."""
    return [
        max(0.0, reload[revision] - at) for revision, at in accepted.items() for reload in reloads if revision in reload
    ]


def spans(call: Came, reload: Mapping[str, float]) -> bool:
    return any(call.began < at < call.ended for at in reload.values())
