"""`python -m tests.bench.sizes`: what a call costs as the rules grow, and what a scrape or new rules hold up.

The same calls by rules of 3 to 10,000 use cases and of 2 to 1,000 models. Then, with the largest, calls one by one
while nothing else happens, while metrics are scraped, and while the rules are swapped for others. It reports and judges
nothing.
"""

import argparse
import http.client
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median
from string import Template
from typing import Final

import msgspec

from schemas.bundle import Bundle, encode_bundle
from schemas.load import load
from tests.bench import live, measures, native, rules
from tests.bench.live import Live, Upstream
from tests.bench.measures import Asked, Burst
from tests.bench.native import Programs
from tests.bench.payloads import PLAIN, encode_body
from tests.bench.tables import table
from tests.bench.targets import Place, Row, Server, sidecar_command
from tests.bench.variants import compare

SIZES: Final = ((3, 2), (100, 50), (1_000, 300), (10_000, 1_000))
"""Use cases and models."""
COMMAND: Final = (
    "{python} -m sidecar --rules {state}.json --listen 127.0.0.1:{port} --admin 127.0.0.1:{admin} --state {state}"
)
ALONE: Final = Burst("alone", PLAIN, 1, 3.0, warm_up_calls=50)
SERIES_USE_CASES: Final = 40
"""Called before metrics are scraped, so that a scrape has some hundred series."""
EVERY_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 3.0
ROUNDS: Final = 5


@cache
def bundle_of(use_cases: int, models: int, upstream_port: int) -> Bundle:
    """The bench's rules and as many more of each kind. What is called is among them."""
    texts = {name: Template(text).substitute(upstream=upstream_port) for name, text in rules.FILES.items()}
    for number in range(models - 2):
        name = f"model-{number}"
        texts[f"models/{name}.yaml"] = rules.FILES["models/model-o.yaml"].replace("model: model-o", f"model: {name}")
    more = [
        {"name": f"more-{number}", "alias": f'"alias-{number}-*"', "primary": "model-o", "fallback": "model-a"}
        for number in range(use_cases - len(rules.USE_CASES))
    ]
    for use_case in (*rules.USE_CASES, *more):
        texts[f"use-cases/{use_case['name']}/use-case.yaml"] = Template(rules.USE_CASE).substitute(use_case)
    loaded = load(texts, today=datetime.fromtimestamp(time.time(), UTC).date(), revision="bench")
    assert loaded.bundle is not None, loaded.problems[:3]
    return loaded.bundle


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sizes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--largest", type=int, default=len(SIZES), metavar="N", help="the first N sizes alone")
    options = parser.parse_args(arguments)
    sizes = SIZES[: options.largest]
    status = compare([_row(*size) for size in sizes], "tests.bench.sizes", __doc__, [f"--rounds={options.rounds}"])
    print()
    return status or _stalls(sizes[-1], options.rounds)


def _row(use_cases: int, models: int) -> Row:
    name = f"{use_cases:,} use cases"

    def command(place: Place) -> list[str]:
        (place.folder / "state.json").write_bytes(encode_bundle(bundle_of(use_cases, models, place.upstream_port)))
        return sidecar_command(place, COMMAND)

    return Row(name, Server(name.replace(" ", "-"), command, rules.KEYS), rules.SAME_DIALECT_ALIAS, "openai")


def _stalls(size: tuple[int, int], rounds: int) -> int:
    cores = sorted(os.sched_getaffinity(0))
    programs = native.compile_programs(native.cache_folder())
    upstream = live.start_upstream(programs.upstream, cores[-1])
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as name:
        folder = Path(name) / "sidecar"
        row = _row(*size)
        assert row.server is not None
        places: list[Place] = []

        def command(place: Place) -> Sequence[str]:
            places.append(place)
            assert row.server is not None
            return row.server.command(place)

        server = live.start(
            row, Server("sidecar", command, rules.KEYS), folder, upstream_port=upstream.port, core=cores[0]
        )
        os.sched_setaffinity(0, {cores[-1]})
        try:
            print(*table(_rows(programs, server, upstream, places[0], size, rounds), markdown=False), sep="\n")
        finally:
            server.process.stop()
            upstream.stop()
    return 0


def _rows(
    programs: Programs, server: Live, upstream: Upstream, place: Place, size: tuple[int, int], rounds: int
) -> list[list[str]]:
    for number in range(min(SERIES_USE_CASES, size[0] - 3)):
        assert not live.call_once(server.port, f"alias-{number}-x")
    body = place.folder / "alone.json"
    body.write_bytes(encode_body(PLAIN, rules.SAME_DIALECT_ALIAS))
    bundle = bundle_of(*size, upstream.port)
    texts = [encode_bundle(bundle), encode_bundle(msgspec.structs.replace(bundle, revision="other"))]
    swaps = iter(range(1 << 30))

    def swap() -> None:
        text = texts[next(swaps) % 2]
        new = place.folder / "new.json"
        new.write_bytes(text)
        new.rename(place.folder / "state.json")

    doing: Mapping[str, Callable[[], None] | None] = {
        "nothing else": None,
        f"scraped, {_series(place.admin_port):,} series": lambda: _scrape(place.admin_port),
        f"swapped, {len(texts[0]) / 1e6:.1f} MB of rules": swap,
    }
    found: dict[str, list[measures.Load]] = {name: [] for name in doing}
    for _ in range(rounds):
        for name, act in doing.items():
            with _again_and_again(act):
                found[name].append(measures.run_load(programs.load, server.port, Asked(body, {}), ALONE, 1.0))
            time.sleep(SETTLE_SECONDS)  # what was done last is over before the next is measured
    cells = [["calls one after another, while", "p50, µs", "p99, µs", "longest, ms", "errors"]]
    for name, loads in found.items():
        p50, p99, longest = (
            median(getattr(load.latency_us, key) or 0.0 for load in loads) for key in ("p50", "p99", "max")
        )
        errors = sum(load.errors for load in loads)
        cells.append([name, f"{p50:,.0f}", f"{p99:,.0f}", f"{longest / 1e3:,.1f}", str(errors)])
    return cells


@contextmanager
def _again_and_again(act: Callable[[], None] | None) -> Iterator[None]:
    ended = threading.Event()

    def run() -> None:
        while act is not None and not ended.wait(EVERY_SECONDS):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _scrape(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read()
    connection.close()
    return text


def _series(port: int) -> int:
    return sum(not line.startswith(b"#") for line in _scrape(port).splitlines())


if __name__ == "__main__":
    sys.exit(main())
