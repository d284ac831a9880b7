"""What is measured of every row: the bursts of load, and the numbers that each gives.
A burst is short, so that all rows get their turn before the machine's mood changes."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.bench import payloads
from tests.bench.payloads import Payload


class Spread(msgspec.Struct, frozen=True):
    """A summary of samples, in microseconds; without samples there are no percentiles."""

    n: int
    p50: float | None = None
    p99: float | None = None
    max: float | None = None


class Load(msgspec.Struct, frozen=True):
    """What the load generator prints. `calls` were timed; `…_with_warm_up` is all that was served, by which CPU time
    is divided."""

    calls: int
    calls_with_warm_up: int
    chunks_with_warm_up: int
    errors: int
    first_error: str
    seconds: float
    calls_per_second: float
    chunks_per_second: float
    latency_us: Spread
    first_chunk_us: Spread
    chunk_age_us: Spread


@dataclass(frozen=True, slots=True)
class Burst:
    """One turn of load: `connections` at once, or calls at `rate` a second whatever the answers take.

    What is under way when the seconds are over is still finished and counted."""

    name: str
    payload: Payload
    connections: int
    seconds: float
    metrics: Mapping[str, Callable[[Load, float | None], float | None]] = field(default_factory=dict)
    """From the load's result and the CPU seconds of the server; None where there is nothing to tell."""
    rate: float = 0.0
    warm_up_calls: int = 0


def _cpu_ms(load: Load, cpu_seconds: float | None) -> float | None:
    return None if cpu_seconds is None else 1e3 * cpu_seconds / load.calls_with_warm_up


def _cpu_us_per_chunk(load: Load, cpu_seconds: float | None) -> float | None:
    return None if cpu_seconds is None else 1e6 * cpu_seconds / load.chunks_with_warm_up


LATENCY = {"p50_us": lambda load, _: load.latency_us.p50, "p99_us": lambda load, _: load.latency_us.p99}
RATE = {"calls_per_second": lambda load, _: load.calls_per_second, "cpu_ms": _cpu_ms}
FIRST_CHUNK = {"first_chunk_p50_us": lambda load, _: load.first_chunk_us.p50}
AGE = {
    "age_p50_us": lambda load, _: load.chunk_age_us.p50,
    "age_p99_us": lambda load, _: load.chunk_age_us.p99,
    "cpu_us_per_chunk": _cpu_us_per_chunk,
}
CHUNKS = {"chunks_per_second": lambda load, _: load.chunks_per_second, "cpu_us_per_chunk": _cpu_us_per_chunk}

BURSTS = (
    Burst("c1", payloads.PLAIN, 1, 0.8, LATENCY, warm_up_calls=10),
    Burst("c8", payloads.PLAIN, 8, 0.8, LATENCY, warm_up_calls=16),
    Burst("rate50", payloads.PLAIN, 64, 1.0, LATENCY, rate=50),
    Burst("c32", payloads.PLAIN, 32, 1.0, RATE, warm_up_calls=32),
    Burst("large", payloads.LARGE, 8, 0.8, RATE, warm_up_calls=8),
    Burst("s8", payloads.SHORT_STREAM, 8, 0.8, FIRST_CHUNK, warm_up_calls=8),
    Burst("s32", payloads.PACED_STREAM, 32, 0.5, AGE),
    Burst("flood", payloads.FLOOD, 32, 1.0, CHUNKS, warm_up_calls=32),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is sent, again and again."""

    body: Path
    headers: Mapping[str, str]
    """Beside those that every client sends."""


def run_load(program: Path, port: int, asked: Asked, burst: Burst, scale: float) -> Load:
    """Put one burst on `port`. Raises CalledProcessError or DecodeError when the load generator itself fails."""
    return _run(program, port, asked, burst, "-d", f"{burst.seconds * scale:.3f}", "-w", str(burst.warm_up_calls))


def run_calls(program: Path, port: int, asked: Asked, burst: Burst, calls: int) -> Load:
    """Make exactly `calls` calls on `port`, however long they take."""
    return _run(program, port, asked, burst, "-n", str(calls))


def _run(program: Path, port: int, asked: Asked, burst: Burst, *extent: str) -> Load:
    command = [str(program), "-p", str(port), "-b", str(asked.body), "-c", str(burst.connections), *extent]
    if asked.headers:
        command += ["-H", "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())]
    if burst.rate:
        command += ["-r", str(burst.rate)]
    if burst.payload.chunks:
        command += ["-k", str(burst.payload.chunks)]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    return msgspec.json.decode(output, type=Load)


def numbers(burst: Burst, load: Load, cpu_seconds: float | None) -> dict[str, float]:
    """The burst's metrics, named `<burst>.<metric>`; only those that have a value."""
    found = {f"{burst.name}.{name}": metric(load, cpu_seconds) for name, metric in burst.metrics.items()}
    return {name: value for name, value in found.items() if value is not None}
