"""`usage export` against a running controller: every call, once, in each format."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from controller.app import Running, running
from controller.cli import main
from controller.cli.export import PAGE_CALLS
from controller.cli.export_formats import COLUMNS, FORMATS
from controller.settings import ServeSettings
from schemas.record import CallRecord
from tests.fakes.rules_repo import RulesRepo

MakeRecord = Callable[..., CallRecord]
CALLS = PAGE_CALLS + 500
"""More than a page."""


@pytest.fixture
async def controller(tmp_path: Path, repo: RulesRepo, make_record: MakeRecord) -> AsyncIterator[Running]:
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0)
    async with running(settings) as controller:
        odd = make_record(0, agent="=1+1", caller='größe, "x"', cost_usd=None, usage=None, stream=True)
        await controller.parts.ledger.book([odd, *(make_record(n) for n in range(1, CALLS))])
        yield controller


async def export(controller: Running, out: Path, *more: str) -> int:
    token = out.parent / "state" / "admin.token"
    where = ("--out", str(out), "--controller", controller.url, "--admin-token", str(token))
    return await asyncio.to_thread(main, ("usage", "export", *where, *more))


def beside(path: Path) -> list[Path]:
    """What an export that has not ended leaves."""
    return list(path.parent.glob(f".{path.name}*"))


def rows_of(kind: str, path: Path) -> Sequence[dict[str, Any]]:
    match kind:
        case "csv":
            with path.open(newline="") as file:
                return list(csv.DictReader(file))
        case "jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case "json":
            return list(json.loads(path.read_text()))
        case _:
            return list(parquet.read_table(path).to_pylist())


@pytest.mark.parametrize("kind", FORMATS)
async def test_every_call_is_in_the_file_once(
    controller: Running, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"calls.{kind}"
    assert await export(controller, out, "--format", kind) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{CALLS:,} calls in {out}\n", "")
    rows = rows_of(kind, out)
    assert list(rows[0]) == list(COLUMNS) or set(rows[0]) == set(COLUMNS)
    assert sorted(row["id"] for row in rows) == sorted(f"call-{n}" for n in range(CALLS))
    assert sum(Decimal(row["cost_usd"]) for row in rows if row["cost_usd"]) == Decimal("0.0012") * (CALLS - 1)
    (odd,) = [row for row in rows if row["id"] == "call-0"]
    assert odd["agent"] == ("'=1+1" if kind == "csv" else "=1+1")
    assert odd["caller"] == 'größe, "x"'
    unknown = "" if kind == "csv" else None
    assert (odd["cost_usd"], odd["input_tokens"], odd["first_token_seconds"]) == (unknown, unknown, unknown)
    assert odd["stream"] == ("true" if kind == "csv" else True)
    assert not beside(out)


async def test_parquet_has_types_of_its_own(controller: Running, tmp_path: Path) -> None:
    assert await export(controller, tmp_path / "calls.parquet", "--format", "parquet") == 0
    table = parquet.read_table(tmp_path / "calls.parquet")
    assert table.schema.field("cost_usd").type == pyarrow.decimal128(38, 24)
    row = table.to_pylist()[-1]
    assert (row["at"], row["day"]) == (datetime(2026, 11, 2, 23, 59, 59, 999_000, tzinfo=UTC), date(2026, 11, 2))
    assert json.loads(row["attempts"])[0]["cost_usd"] == "0.0012"


@pytest.mark.parametrize("words", [("--since", "2026-11-03"), ("--until", "2026-11-01")])
async def test_days_without_calls_make_a_file_without_calls(
    controller: Running, tmp_path: Path, words: Sequence[str]
) -> None:
    for kind in FORMATS:
        assert await export(controller, tmp_path / f"none.{kind}", "--format", kind, *words) == 0
        assert rows_of(kind, tmp_path / f"none.{kind}") == []


async def test_days_may_stand_before_the_word_export(controller: Running, tmp_path: Path) -> None:
    token = str(tmp_path / "state" / "admin.token")
    words = ("usage", "--since", "2026-11-03", "--controller", controller.url, "export", "--admin-token", token)
    assert await asyncio.to_thread(main, (*words, "--out", str(tmp_path / "none.csv"))) == 0
    assert rows_of("csv", tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--since", "soon"), 2, "2026-11-01"),
        (("--controller", "http://127.0.0.1:9"), 1, "no controller"),
        (("--admin-token", "/nowhere/admin.token"), 2, "--admin-token"),
        (("--out", "/nowhere/calls.csv"), 1, "/nowhere/calls.csv"),
    ],
)
async def test_what_goes_wrong_is_named_and_the_old_file_stays(
    controller: Running, tmp_path: Path, words: Sequence[str], status: int, said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "calls.csv"
    out.write_text("as it was")
    assert await export(controller, out, *words) == status
    assert said in capsys.readouterr().err
    assert out.read_text() == "as it was"
    assert not beside(out)


async def test_the_sidecar_s_token_opens_no_calls(
    controller: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = str(tmp_path / "state" / "sidecar.token")
    assert await export(controller, tmp_path / "calls.csv", "--admin-token", token) == 1
    assert "admin.token" in capsys.readouterr().err
