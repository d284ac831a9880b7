"""What fuzzing begins with: golden transcripts; and in `found/<target>/` what none of them holds, or broke once."""

from collections.abc import Iterator, Mapping
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"
FOUND = Path(__file__).parent / "found"

SEEDS: Mapping[str, tuple[str, ...]] = {
    "request": ("requests/*/*.json",),
    "response": ("responses/*/*.json", "errors/*/*.json"),
    "stream": ("streams/*/*.sse", "streams/*/*.frames"),
    "sse": ("streams/*/*.sse",),
    "rules": ("rules/**/*.yaml",),
    "bundle": ("state/**/*.json",),
    "pointer": ("state/**/*.json",),
    "spool": ("state/**/*.log",),
    "ingest": (),
    "edge": (),
}
"""Target to globs in `tests/golden`."""


def seeds_of(target: str) -> Iterator[Path]:
    for pattern in SEEDS[target]:
        yield from sorted(GOLDEN.glob(pattern))
    yield from sorted((FOUND / target).glob("*"))
