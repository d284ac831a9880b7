"""The arithmetic of `controller/SCALING.md`, from the constants that the programs run by."""

from datetime import date
from pathlib import Path

import msgspec

from controller.parts import WatchTimes
from controller.settings import DEFAULT_KEEP_CALLS_DAYS
from schemas.__main__ import read_folder
from schemas.bundle import encode_bundle
from schemas.load import load
from schemas.scope import narrowed, part_of, scope_of
from sidecar.fleet_watch import EVERY_SECONDS as SPEND_SECONDS
from sidecar.rules.reporter import EVERY_SECONDS as REPORT_SECONDS
from sidecar.spool.shipper import GATHER_SECONDS
from tests.bench.ledger import records

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "controller" / "SCALING.md"
FLEETS = (100, 10_000, 1_000_000)
CALLS_PER_MINUTE = 1
"""Of one sidecar, day and night: what the page assumes."""
DAY_SECONDS = 86_400


def part_bytes() -> int:
    """What a sidecar of one use case fetches of the example rules."""
    loaded = load(read_folder(REPOSITORY / "examples" / "rules"), today=date(2026, 11, 1), revision="0" * 40)
    assert loaded.bundle is not None
    scope = narrowed(scope_of(["*"]), ["customer-support"])
    return len(encode_bundle(part_of(loaded.bundle, "sha256:" + "0" * 64, scope)))


def record_bytes() -> int:
    """Of a record as it travels, on average."""
    sample = [len(msgspec.json.encode(record)) for record in records(500)]
    return sum(sample) // len(sample)


def rounded(amount: float) -> str:
    """Two figures, with a unit that people read."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if amount >= size:
            return f"{amount / size:.2g}{unit}" if amount / size < 100 else f"{amount / size:.0f}{unit}"
    return f"{amount:.2g}" if amount < 100 else f"{amount:.0f}"


def table() -> str:
    """Each row: what it is, and how it grows with the number of sidecars."""
    calls = CALLS_PER_MINUTE / 60
    rows = {
        "open watch streams": 1.0,
        f"pings a second (one in {WatchTimes().ping:g} s)": 1 / WatchTimes().ping,
        f"status reports a second (one in {REPORT_SECONDS:g} s)": 1 / REPORT_SECONDS,
        f"questions for the fleet's spend a second (one in {SPEND_SECONDS:g} s)": 1 / SPEND_SECONDS,
        f"bytes sent for one commit ({rounded(part_bytes())}B for a use case)": part_bytes(),
        f"calls a second ({CALLS_PER_MINUTE} a minute each, day and night)": calls,
        f"uploads of records a second (at most one in {GATHER_SECONDS:g} s each)": min(calls, 1 / GATHER_SECONDS),
        f"bytes of records a second ({rounded(record_bytes())}B each)": calls * record_bytes(),
        f"rows kept ({DEFAULT_KEEP_CALLS_DAYS} days)": calls * DAY_SECONDS * DEFAULT_KEEP_CALLS_DAYS,
    }
    lines = ["| sidecars | " + " | ".join(f"{fleet:,}" for fleet in FLEETS) + " |", "| --- |" + " ---: |" * len(FLEETS)]
    lines += [
        f"| {name} | " + " | ".join(rounded(each * fleet) for fleet in FLEETS) + " |" for name, each in rows.items()
    ]
    return "\n".join(lines)


def test_the_page_says_what_the_constants_give() -> None:
    assert table() in PAGE.read_text(), f"controller/SCALING.md should hold:\n\n{table()}"
