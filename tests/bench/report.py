"""The result of a run as one table (text or Markdown) and as one JSON document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.rounds import Outcome, Settings
from tests.bench.stats import Round, medians, ratios, with_added
from tests.bench.tables import table
from tests.bench.targets import BASE, DIRECT


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table."""

    metric: str
    label: str
    digits: int = 0


UNREST = "c32.calls_per_second"
ADDED = {"c1.p50_us": "c1.added_us", "rate50.p50_us": "rate50.added_us"}
LINES = (
    Line("c1.p50_us", "p50, 1 connection, µs"),
    Line("c1.added_us", "… added to direct, µs"),
    Line("c1.p99_us", "p99, 1 connection, µs"),
    Line("c8.p50_us", "p50, 8 connections, µs"),
    Line("c8.p99_us", "p99, 8 connections, µs"),
    Line("rate50.p50_us", "p50 at 50 calls/s, µs"),
    Line("rate50.added_us", "… added to direct, µs"),
    Line("c32.calls_per_second", "calls/s, 32 connections"),
    Line("c32.cpu_ms", "CPU per call, ms", 3),
    Line("large.calls_per_second", "100 KB: calls/s"),
    Line("large.cpu_ms", "100 KB: CPU per call, ms", 3),
    Line("s8.first_chunk_p50_us", "first chunk p50, 8 streams, µs"),
    Line("s32.age_p50_us", "chunk age p50, 32 streams × 50/s, µs"),
    Line("s32.age_p99_us", "chunk age p99, 32 streams × 50/s, µs"),
    Line("s32.cpu_us_per_chunk", "CPU per chunk, 32 streams × 50/s, µs", 1),
    Line("flood.chunks_per_second", "flood, 32 streams: chunks/s"),
    Line("flood.cpu_us_per_chunk", "flood: CPU per chunk, µs", 1),
    Line("start.seconds", "start to first answer, s", 2),
    Line("memory.idle_mb", "memory after first call, MB", 1),
    Line("memory.loaded_mb", "memory after {memory_calls} calls, MB", 1),
)


@dataclass(frozen=True, slots=True)
class RowResult:
    """The numbers of one row."""

    rounds: Sequence[Round]
    median: Mapping[str, float]
    ratio: Mapping[str, float]
    """To R, inside each round; empty for R itself."""
    missing: str
    failures: Sequence[str]
    calls: int
    errors: int


def summarise(outcomes: Mapping[str, Outcome]) -> dict[str, RowResult]:
    """From rounds to medians and ratios. Without `direct` nothing is told of added latency, without R no ratio."""
    rounds: dict[str, Sequence[Round]] = {name: outcome.rounds for name, outcome in outcomes.items()}
    if DIRECT in rounds:
        direct = rounds[DIRECT]
        rounds |= {name: with_added(found, direct, ADDED) for name, found in rounds.items() if name != DIRECT}
    return {
        name: RowResult(
            rounds=rounds[name],
            median=medians(rounds[name]),
            ratio=ratios(rounds[name], rounds[BASE]) if BASE in rounds and name != BASE else {},
            missing=outcome.missing,
            failures=outcome.failures,
            calls=outcome.calls,
            errors=outcome.errors,
        )
        for name, outcome in outcomes.items()
    }


def document(results: Mapping[str, RowResult], settings: Settings, machine: Mapping[str, str]) -> dict[str, Any]:
    """All numbers, for `--json`."""
    return {
        "machine": dict(machine),
        "settings": asdict(settings),
        "base": BASE,
        "rows": {name: asdict(result) for name, result in results.items()},
    }


def render(results: Mapping[str, RowResult], settings: Settings, *, markdown: bool) -> str:
    """The table, and what must be known to read it."""
    lines = [line for line in LINES if any(line.metric in result.median for result in results.values())]
    cells = [["", *results]]
    for line in lines:
        label = line.label.format(memory_calls=f"{settings.memory_calls:,}")
        cells.append([label, *(_cell(result, line) for result in results.values())])
    return "\n".join([*table(cells, markdown=markdown), "", *_notes(results)])


def _cell(result: RowResult, line: Line) -> str:
    if line.metric not in result.median:
        return "–"
    value = f"{result.median[line.metric]:,.{line.digits}f}"
    ratio = result.ratio.get(line.metric)
    return f"{value} (×{ratio:.2f})" if ratio is not None else value


def heading(settings: Settings, machine: Mapping[str, str]) -> str:
    """When, where and how it was measured."""
    shared = " (the machine has no second core)" if settings.proxy_core == settings.load_core else ""
    return (
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['system']}, {machine['versions']}\n"
        f"Medians of {settings.rounds} rounds, bursts × {settings.scale:g}. Proxy on core {settings.proxy_core}, "
        f"upstream and load on core {settings.load_core}{shared}."
    )


def _notes(results: Mapping[str, RowResult]) -> list[str]:
    notes = [f"{name}: {result.missing}" for name, result in results.items() if result.missing]
    notes += [f"{name}: left out, {failure}" for name, result in results.items() for failure in result.failures]
    return [*notes, *_about_base(results[BASE])] if BASE in results else notes


def _about_base(base: RowResult) -> list[str]:
    """What R is, and how far it moved between rounds: what is closer together than that says nothing."""
    notes = [
        f"{BASE} is a bare pass-through on aiohttp and uvloop that does no gateway work; in brackets stands the median "
        f"of the ratios to it inside each round."
    ]
    found = [r[UNREST] for r in base.rounds if UNREST in r]
    if len(found) > 1:
        notes.append(f"{BASE} itself ranged from {min(found):,.0f} to {max(found):,.0f} calls/s over the rounds.")
    return notes
