"""The pages of use cases through the front door: with figures, without any, and with names that want to be HTML."""

import csv
import io
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import aiohttp
import msgspec

from controller.app import Running, running
from controller.evals.evidence import write_evidence
from controller.settings import ServeSettings
from schemas.record import CallRecord, UsageBatch
from tests.fakes.rules_repo import MODEL, RULES, USE_CASE, RulesRepo, write_files
from tests.unit.controller.evals.results import compared, two_models

MakeRecord = Callable[..., CallRecord]
HOSTILE = '"><script>alert(1)</script>'
TABLES = (
    "rule", "traffic", "cost", "latency", "outcomes", "canary", "canary-steps", "evals", "models", "history",
)  # fmt: skip


async def text(client: aiohttp.ClientSession, path: str) -> str:
    async with client.get(path) as got:
        assert got.status == 200, await got.text()
        return await got.text()


async def table(client: aiohttp.ClientSession, name: str, page: str = "/use-cases/support") -> list[list[str]]:
    return list(csv.reader(io.StringIO(await text(client, f"{page}?table={name}"))))


async def book(client: aiohttp.ClientSession, *records: CallRecord) -> None:
    body = msgspec.json.encode(UsageBatch(sidecar="s1", records=records))
    async with client.post("/v1/usage", data=body) as got:
        assert got.status == 200


async def test_without_a_call_every_part_says_what_to_do(
    controller: Running, client: aiohttp.ClientSession, loaded: str
) -> None:
    page = await text(client, "/use-cases/support")
    for advice in ("x-pointsman-use-case: support", "give use-cases/support/use-case.yaml a `canary:`",
                   "`pointsman eval run`"):  # fmt: skip
        assert advice in page
    assert "<svg" not in page
    listed = await table(client, "use-cases", "/use-cases")
    assert listed[1][:4] == ["support", "experimental", "support-platform", "sonnet"]
    assert listed[1][4:] == ["0", "unknown", "0.0000, no ceiling", "no date", "none"]
    assert '<a href="/use-cases/support">support</a>' in await text(client, "/use-cases")
    assert '<a href="/use-cases/support">support</a>' in await text(client, "/")


async def test_each_line_of_the_rule_says_where_it_comes_from(
    controller: Running, client: aiohttp.ClientSession, repo: RulesRepo
) -> None:
    repo.commit({
        **RULES, "pointsman.yaml": "schema: 1\ndefaults:\n  timeouts:\n    connect: 2s\n",
        "use-cases/support/use-case.yaml": USE_CASE
        + "timeouts: {deadline: 90s}\nrequires: {capabilities: [tools]}\n",
    })  # fmt: skip
    await controller.parts.publisher.newer_than("")
    lines = {line: (value, place) for line, value, place in await table(client, "rule")}
    assert lines["primary"] == ("sonnet", "use-cases/support/use-case.yaml:5")
    assert lines["requires.capabilities"] == ("tools", "use-cases/support/use-case.yaml:7")
    assert lines["timeouts.deadline"] == ("90 s", "use-cases/support/use-case.yaml:6")
    assert lines["timeouts.connect"] == ("2 s", "pointsman.yaml:4")
    assert lines["timeouts.first_token"] == ("30 s", "Pointsman's default")
    assert lines["model sonnet at anthropic"] == ("as claude-sonnet", "models/sonnet.yaml:7")
    assert lines["provider anthropic"] == ("anthropic, https://api.anthropic.com", "providers/anthropic.yaml:3")


async def test_traffic_cost_latency_and_outcomes_of_a_day(
    controller: Running, client: aiohttp.ClientSession, loaded: str, make_record: MakeRecord
) -> None:
    today = controller.parts.ledger.spend().day
    at = f"{today}T00:00:01Z"
    good = [make_record(n, at=at, seconds=n / 10, model="sonnet") for n in range(1, 21)]
    failed = make_record(21, at=at, model="", reason="", outcome="server_fault", usage=None, cost_usd=None,
                         attempts=(), wasted_usd=Decimal("0.5"))  # fmt: skip
    await book(client, *good, failed)
    assert await table(client, "traffic") == [["day", "calls", "sonnet", "no answer"], [today, "21", "20", "1"]]
    assert (await table(client, "cost"))[1] == [today, "0.5240", "0.0240", "0.5000", "0"]
    assert (await table(client, "latency"))[1] == [today, "20", "1.100", "2.000"]
    assert (await table(client, "outcomes"))[1:] == [
        ["ok", "primary", "20", "95.24%"], ["server_fault", "none", "1", "4.76%"]
    ]  # fmt: skip
    page = await text(client, "/use-cases/support")
    assert page.count("<svg") == page.count("</title>") - 1 == 3
    assert not re.search(r"style=|<script", page), "the policy forbids the one, and nothing here needs the other"
    shown = msgspec.json.decode(await text(client, "/use-cases/support?format=json"))
    assert [one["name"] for one in shown["tables"]] == list(TABLES)


async def test_names_from_outside_are_text(
    controller: Running, client: aiohttp.ClientSession, repo: RulesRepo, make_record: MakeRecord
) -> None:
    write_files(repo.path, RULES)
    repo.git("add", ".")
    repo.git("commit", "--quiet", "-m", HOSTILE)
    await controller.parts.publisher.newer_than("")
    at = f"{controller.parts.ledger.spend().day}T00:00:01Z"
    await book(client, *(make_record(n, at=at, model=f"{HOSTILE}{n}", reason=HOSTILE) for n in range(8)),
               make_record(9, at=at, use_case=HOSTILE))  # fmt: skip
    page = await text(client, "/use-cases/support")
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)") > 8
    gone = await text(client, "/use-cases/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert "<script" not in gone
    assert "of former calls" in gone


async def test_history_tells_by_meaning_what_each_commit_changed(
    controller: Running, client: aiohttp.ClientSession, repo: RulesRepo
) -> None:
    repo.commit()
    repo.commit({"models/sonnet.yaml": MODEL.replace("200000", "300000")})
    repo.commit({"models/haiku.yaml": MODEL.replace("model: sonnet", "model: haiku"), "README.md": "elsewhere"})
    other = "use_case: other\nowner: o\nclass: experimental\nprimary: haiku\n"
    repo.commit({"use-cases/other/use-case.yaml": other})
    commented = repo.commit({"use-cases/support/use-case.yaml": f"# why\n{USE_CASE}"})
    current = await controller.parts.publisher.newer_than("")
    while current is not None and current.pointer.revision != commented:
        current = await controller.parts.publisher.newer_than(current.event_id)
    history = [(row[1], row[4], row[5]) for row in (await table(client, "history"))[1:]]
    assert [changed for _, changed, _ in history] == [
        "nothing that calls would notice",
        "model sonnet changed: context_window: 200000 → 300000",
        "use case support added: owner: support-platform; primary: sonnet; model sonnet added: vendor: anthropic; "
        "provider anthropic added: base_url: https://api.anthropic.com",
    ]
    assert history[0][::2] == (commented[:12], "use-cases/support/use-case.yaml")


async def test_evidence_stands_with_its_intervals_and_the_models_beside_each_other(
    controller: Running, client: aiohttp.ClientSession, repo: RulesRepo
) -> None:
    made = write_evidence(compared(two_models(300, 40, 5, 55), floor=0.4), use_case="support",
                          created=date(2026, 11, 20), accepted_by={})  # fmt: skip
    repo.commit({**RULES, f"use-cases/support/evidence/{made.name}": made.files[made.name].decode()})
    await controller.parts.publisher.newer_than("")
    evals = await table(client, "evals")
    assert evals[1][:5] == ["2026-11-20", "new", "old", "400", "+8.75"]
    assert evals[1][8:10] == ["superior", "promote"]
    models = {row[0]: row for row in (await table(client, "models"))[1:]}
    assert (models["new"][1], models["old"][1]) == ("85.0%", "76.2%")
    page = await text(client, "/use-cases/support")
    assert "margin -2" in page
    assert page.count("<svg") == 2


async def test_a_canary_shows_its_confidence_sequence_and_stays_fresh(
    controller: Running, client: aiohttp.ClientSession, repo: RulesRepo, make_record: MakeRecord
) -> None:
    canary = "canary: {model: new, percent: 50, margin: 0.01, signal: outcome}\n"
    repo.commit({
        **RULES, "models/new.yaml": MODEL.replace("model: sonnet", "model: new"),
        "use-cases/support/use-case.yaml": f"{USE_CASE}{canary}",
    })  # fmt: skip
    parts = controller.parts
    await parts.publisher.newer_than("")
    await parts.canaries.look()
    assert "Too early to say" in await text(client, "/use-cases/support")
    (running_one,) = parts.publisher.channel.canaries
    at = parts.ledger.spend().at
    await book(client, *(
        make_record(n, at=at, conversation=f"c{n}", steering=running_one.reason, arm=arm, model=arm,
                    attempts=(msgspec.structs.replace(make_record().attempts[0], model=arm),))
        for n, arm in enumerate(["new", "sonnet"] * 150)
    ))  # fmt: skip
    rows = await table(client, "canary")
    assert rows[1][1:6] == ["150", "100.00%", "150", "100.00%", "+0.00"]
    assert float(rows[1][6]) == -float(rows[1][7]) < 0
    assert "where its rules begin" in (await table(client, "canary-steps"))[1][4]
    page = await text(client, "/use-cases/support")
    assert '<section data-live="canary">' in page
    async with client.get("/static/live.js") as got:
        assert (got.status, got.content_type) == (200, "text/javascript")


async def test_what_is_not_there_is_told_with_what_is(
    controller: Running, client: aiohttp.ClientSession, loaded: str
) -> None:
    async with client.get("/use-cases/suport") as got:
        assert got.status == 404
        assert 'did you mean "support"?' in (await got.json())["error"]["message"]


async def test_a_plain_folder_has_no_history_and_says_so(tmp_path: Path) -> None:
    write_files(tmp_path / "rules", RULES)
    settings = ServeSettings(repo=str(tmp_path / "rules"), state=tmp_path / "state", listen_port=0)
    async with running(settings) as controller, aiohttp.ClientSession(controller.url) as client:
        await controller.parts.publisher.newer_than("")
        page = await text(client, "/use-cases/support")
        assert "Put it into git" in page
        assert "use-cases/support/use-case.yaml:5" in page
