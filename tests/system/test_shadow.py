"""Shadow traffic on real processes: one that is dead, hangs or is throttled changes no caller's answer and is seen;
what one answered is in the ledger once, beside its call, also when its sidecar is killed. Feedback goes the same way.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.routing.lots import is_mirrored
from tests.fakes import core_bundles as bundles
from tests.fakes import wire
from tests.fakes.controller import StartController
from tests.fakes.load import Came, call, kinds
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator
from tests.fakes.upstream import refusing_port
from tests.system.rules import Door, files, use_case

PERCENT = 20
CALLS_EACH = 60
CALLERS = 8
SHADOWS = ("good", "dead", "hangs", "throttled")
"""Each is a model, and a use case of its own is mirrored to it."""
BUSY = ("skipped", "busy")
"""Where the machine is too slow for the live calls already, their shadows are passed over."""


@pytest.fixture
def dead_url() -> Iterator[str]:
    with refusing_port() as port:
        yield f"http://127.0.0.1:{port}"


def test_whatever_becomes_of_shadows_callers_get_their_answers_and_the_books_are_right(
    dead_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    start_simulator: StartSimulator,
    start_controller: StartController,
    start_sidecar: StartSidecar,
) -> None:
    live, other = start_simulator("live"), start_simulator("other")
    other.fault({"hang": True}, model="hangs-*")
    other.fault({"status": 429}, model="throttled-*")
    doors = [Door("alpha", "openai", live.url), Door("good", "anthropic", other.url), Door("dead", "openai", dead_url)]
    doors += [Door("hangs", "openai", other.url), Door("throttled", "openai", other.url)]
    # As many at once as there are, but where they hang: a slow machine is no reason to pass any over.
    more = "shadow: {{model: {0}, percent: 20, concurrency: {1}}}\nquality_bar: {{checks: [complete]}}\n"
    repo = RulesRepo(tmp_path_factory.mktemp("rules"))
    at_once = {name: 4 if name == "hangs" else 16 for name in SHADOWS}
    rules = {name: use_case("alpha", name=name, more=more.format(name, at_once[name])) for name in SHADOWS}
    repo.commit(files(doors, rules))
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    sidecar = start_sidecar(controller.url, options=["--controller-token", str(controller.token_file)])

    came = asyncio.run(calls_of(sidecar))
    assert all(one.is_whole and one.model == "alpha" and one.attempts == 1 for one in came), came
    drawn = {name: {one.id for one in came if one.kind.use_case == name and is_drawn(one)} for name in SHADOWS}
    assert all(ids for ids in drawn.values()), "the lots of so many calls fall to some of each"
    told = eventually(lambda: told_of_all(sidecar, {name: len(ids) for name, ids in drawn.items()}))
    assert told["good"]["sent", ""] >= 1
    assert told["good"].keys() <= {("sent", ""), BUSY}
    assert told["dead"]["failed", "unreachable"] >= 1
    assert told["dead"].keys() <= {("failed", "unreachable"), ("skipped", "breaker_open"), BUSY}
    assert told["throttled"]["failed", "throttled"] >= 1
    assert told["throttled"].keys() <= {("failed", "throttled"), BUSY}
    assert told["hangs"].keys() <= {("skipped", "queue_full"), BUSY}

    sent = eventually(lambda: {row["call"] for row in controller.rows("shadows") if row["use_case"] == "good"} or None)
    (scored,) = [one for one in came if one.id == min(sent)]
    said = wire.post(f"{sidecar.url}/v1/feedback", {"request_id": scored.id, "score": 0.5})
    assert said.status == 202
    assert wire.post(f"{sidecar.url}/v1/feedback", {"request_id": scored.id, "score": 1}).status == 202
    in_flight = min(at_once["hangs"], len(drawn["hangs"]) - told["hangs"][BUSY])
    """As many at once as its concurrency allows."""
    eventually(lambda: asked(other, "hangs") == in_flight or None)
    sidecar.kill()
    sidecar.restart()
    eventually(lambda: sidecar.status().spooled_records == 0 or None, 20)

    rows = controller.rows("shadows")
    booked = defaultdict[str, Counter[str]](Counter)
    for row in rows:
        booked[row["use_case"]][row["outcome"]] += 1
        assert row["call"] in drawn[row["use_case"]]
        assert (row["id"], row["live_model"], row["live_passed"]) == (f"{row['call']}.shadow", "alpha", 1)
    assert booked["good"] == {"ok": told["good"]["sent", ""]}
    assert asked(other, "hangs") == in_flight
    assert booked["hangs"] == {"unknown_outcome": in_flight}
    assert booked["throttled"] == {"throttled": told["throttled"]["failed", "throttled"]}
    assert booked["dead"] == {"unreachable": told["dead"]["failed", "unreachable"]}
    (pair,) = [row for row in rows if row["call"] == scored.id]
    assert (pair["model"], pair["passed"], Decimal(pair["cost_usd"]) > 0) == ("good", 1, True)

    usage = {row["model"]: row for row in controller.usage("model")}
    assert {model: row["requests"] for model, row in usage.items()} == {
        "alpha": len(came), **{model: 0 for model in booked}
    }  # fmt: skip
    assert Decimal(usage["alpha"]["shadow_usd"]) == 0
    paid = sum((Decimal(row["cost_usd"]) for row in rows if row["outcome"] == "ok"), Decimal(0))
    assert Decimal(usage["good"]["shadow_usd"]) == paid > 0
    assert Decimal(usage["good"]["cost_usd"]) == Decimal(usage["hangs"]["cost_usd"]) == 0
    answer = wire.get(f"{controller.url}/v1/feedback?by=use_case").json
    assert answer == {
        "rows": [{"use_case": "good", "kind": "user", "scores": 1, "mean": 1.0, "good": 1}], "unmatched": 0,
    }  # fmt: skip


def asked(provider: SimulatorProcess, model: str) -> int:
    return sum(entry["model"].startswith(f"{model}-") for entry in provider.entries())


async def calls_of(sidecar: SidecarProcess) -> list[Came]:
    """The same number of each kind to each use case, some at once."""
    ways = [kind for name in SHADOWS for kind in kinds(name)] * (CALLS_EACH // len(kinds()))
    turn = iter(ways)
    came: list[Came] = []

    async def work(session: aiohttp.ClientSession) -> None:
        for kind in turn:
            came.append(await call(session, sidecar.url, kind, "Hello."))

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(work(session) for _ in range(CALLERS)))
    return came


def is_drawn(one: Came) -> bool:
    shadow = bundles.snapshot(
        shadow=bundles.shadow(model=one.kind.use_case, percent=PERCENT), models={
            "alpha": bundles.model("one"), "beta": bundles.model("two"), one.kind.use_case: bundles.model("one"),
        },
    ).use_cases["chat"].shadow  # fmt: skip
    assert shadow is not None
    return is_mirrored(one.kind.use_case, shadow, one.id)


def told_of_all(sidecar: SidecarProcess, drawn: Mapping[str, int]) -> dict[str, Counter[tuple[str, str]]] | None:
    """What became of the calls that were drawn, once all but those that hang have been told of."""
    told = defaultdict[str, Counter[tuple[str, str]]](Counter)
    for family in text_string_to_metric_families(sidecar.metrics()):
        for sample in family.samples:
            if sample.name == "pointsman_shadow_total":
                labels = sample.labels
                told[labels["use_case"]][labels["outcome"], labels["reason"]] += int(sample.value)
    is_over = all(told[name].total() == count for name, count in drawn.items() if name != "hangs")
    return told if is_over else None
