"""What translation costs: CPU time for a request and for a streamed chunk, from each dialect that agents call in to
each that targets speak. In one process, without a socket.

    python -m tests.bench --only translation
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from time import process_time

from schemas.bundle import DialectName
from schemas.record import Usage
from sidecar.canonical.events import Started
from sidecar.canonical.model import ModelTraits
from sidecar.dialects.base import Tap
from sidecar.dialects.registry import DIALECTS, TARGETS
from sidecar.dialects.translator import Translator
from tests.bench.conversations import IN_PATH, MAX_OUTPUT_TOKENS, MODEL, encode_chunks, encode_conversation
from tests.bench.stats import Round, medians, ratios
from tests.bench.tables import table

SIZES = {"2 KB request": 2_000, "100 KB request": 100_000}
CHUNK = "streamed chunk"
KINDS = (*SIZES, CHUNK)
CHUNKS = 200
LOOP_SECONDS = 0.05
"""How long each pair is repeated in each round, scaled as the bursts are."""

Pair = tuple[DialectName, DialectName]
"""What the agent calls in, and what the target speaks."""
PAIRS: Sequence[Pair] = tuple((caller, target) for caller in DIALECTS for target in TARGETS)


@dataclass(frozen=True, slots=True)
class Work:
    """Something to repeat, and how many requests or chunks it is each time."""

    do: Callable[[], None]
    units: int = 1


def measure(rounds: int, scale: float) -> Mapping[Pair, Sequence[Round]]:
    """Microseconds by kind, for every pair and round. All pairs have their turn in each round, in alternating order."""
    works = {(pair, kind): _work(pair, kind) for kind in KINDS for pair in PAIRS}
    times = {key: _times_within(work, LOOP_SECONDS * scale) for key, work in works.items()}
    measured: dict[Pair, list[dict[str, float]]] = {pair: [{} for _ in range(rounds)] for pair in PAIRS}
    for turn in range(rounds):
        for pair, kind in list(works)[:: 1 if turn % 2 == 0 else -1]:
            work, repeats = works[pair, kind], times[pair, kind]
            measured[pair][turn][kind] = 1e6 * _seconds(work, repeats) / (repeats * work.units)
    return measured


def _times_within(work: Work, seconds: float) -> int:
    _seconds(work, 1)  # whatever is made on first use
    return max(1, round(seconds / _seconds(work, 1)))


def _seconds(work: Work, times: int) -> float:
    do, began = work.do, process_time()
    for _ in range(times):
        do()
    return process_time() - began


def _work(pair: Pair, kind: str) -> Work:
    return _streaming(*pair) if kind == CHUNK else _asking(*pair, SIZES[kind])


def _asking(caller: DialectName, target: DialectName, size_bytes: int) -> Work:
    """From the caller's body to the target's, as one attempt does it."""
    dialect, encode = DIALECTS[caller], TARGETS[target].encode_request
    body, traits = encode_conversation(caller, size_bytes), ModelTraits("a-target", MAX_OUTPUT_TOKENS)

    def pass_through() -> None:
        dialect.forward(dialect.open(body, IN_PATH), "a-target")

    def translate() -> None:
        encode(dialect.decode_request(dialect.open(body, IN_PATH)), traits)

    return Work(pass_through if caller == target else translate)


def _streaming(caller: DialectName, target: DialectName) -> Work:
    """A whole answer, a chunk at a time, as the pipeline's tap reads it."""
    dialect, chunks = DIALECTS[caller], encode_chunks(target, CHUNKS)

    def tap() -> Tap:
        if caller == target:
            return dialect.new_tap(True, _price)
        encoder = dialect.new_encoder(True, _price, 500)
        return Translator(TARGETS[target].new_decoder(), encoder, Started("id", MODEL, 1))

    def stream() -> None:
        reading = tap()
        for chunk in chunks:
            reading.feed(chunk)
        reading.finish()

    return Work(stream, CHUNKS)


def _price(_usage: Usage) -> Decimal:
    return Decimal("0.0123")


def document(measured: Mapping[Pair, Sequence[Round]]) -> dict[str, Sequence[Round]]:
    """All numbers, for `--json`."""
    return {f"{caller} to {target}": rounds for (caller, target), rounds in measured.items()}


def render(measured: Mapping[Pair, Sequence[Round]], *, markdown: bool) -> str:
    """A table for each kind: a row for each dialect of agents, a column for each of targets."""
    blocks = []
    for kind in KINDS:
        cells = [[f"{kind}, µs", *TARGETS]]
        cells += [
            [f"from {caller}", *(_cell(measured, (caller, target), kind) for target in TARGETS)] for caller in DIALECTS
        ]
        blocks.append("\n".join(table(cells, markdown=markdown)))
    note = "In brackets stands the median of the ratios to pass-through of the same dialect, inside each round."
    return "\n\n".join([*blocks, note])


def _cell(measured: Mapping[Pair, Sequence[Round]], pair: Pair, kind: str) -> str:
    caller, target = pair
    value = f"{medians(measured[pair])[kind]:,.1f}"
    if caller == target:
        return value
    return f"{value} (×{ratios(measured[pair], measured[caller, caller])[kind]:.1f})"
