"""How far off a token count is that is made before the call: the sidecar's estimate and its vocabulary, held against
what tokenizers really make of the texts in `corpus/`, by kind.

    python -m tests.bench.token_counts [--markdown]

Small models that are installed beside the sidecar count by llama.cpp's `/tokenize`.
"""

import argparse
import json
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from timeit import repeat

from toktok import batch_count

from controller.demo.local_models import LocalModel, available, running
from sidecar.dialects.estimate import TextCount, estimate_text_tokens
from sidecar.vocabulary import ENCODING, load_vocabulary
from tests.bench.conversations import encode_conversation
from tests.bench.tables import table

CORPUS = Path(__file__).parent / "corpus"
BETWEEN_TEXTS = "\n\n\n"

Count = Callable[[str], int]
"""Tokens of a text."""


@dataclass(frozen=True, slots=True)
class Error:
    """Of several texts: 0.1 counts a tenth too many, -0.1 a tenth too few."""

    mean: float
    worst: float
    """Of a single text: the one farthest from the truth, to either side."""


def read_corpus() -> Mapping[str, Sequence[str]]:
    """Texts by kind."""
    return {
        path.stem: path.read_text(encoding="utf-8").strip().split(BETWEEN_TEXTS)
        for path in sorted(CORPUS.glob("*.txt"))
    }


def estimated(text: str) -> int:
    """As the sidecar does it by default, from JSON as the official SDKs write it."""
    return estimate_text_tokens(json.dumps(text, ensure_ascii=False).encode())


def counted() -> Count:
    """As the sidecar does it with `--token-counts vocabulary`."""
    count_text = load_vocabulary()
    empty = count_text(b'""')
    return lambda text: count_text(json.dumps(text).encode()) - empty


def by_encoding(name: str) -> Count:
    return lambda text: batch_count([text], name, threads=1)[0]


def by_server(base_url: str) -> Count:
    """What a model in llama.cpp's server makes of a text, without the marks that begin and end it."""
    url = f"{base_url.removesuffix('/v1')}/tokenize"

    def count(text: str) -> int:
        body = json.dumps({"content": text, "add_special": False}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"})) as answer:
            return len(json.load(answer)["tokens"])

    return count


def error_of(count: Count, truth: Count, texts: Sequence[str]) -> Error:
    errors = [count(text) / truth(text) - 1 for text in texts]
    return Error(fmean(errors), max(errors, key=abs))


def render(truths: Mapping[str, Count], *, markdown: bool) -> str:
    """A row for each kind of text, and for each tokenizer what the estimate and the vocabulary are off."""
    ways = {"estimate": estimated, "vocabulary": counted()}
    shown = [(way, name) for name in truths for way in ways if (way, name) != ("vocabulary", OPENAI)]
    cells = [["mean (worst) error", *(f"{way} / {name}" for way, name in shown)]]
    for kind, texts in read_corpus().items():
        errors = [error_of(ways[way], truths[name], texts) for way, name in shown]
        cells.append([kind, *(f"{error.mean:+.0%} ({error.worst:+.0%})" for error in errors)])
    return "\n".join(table(cells, markdown=markdown))


def render_cost() -> str:
    """Of counting the text of a whole request, in this process."""
    lines = []
    for way, count_text in (("estimate", estimate_text_tokens), ("vocabulary", load_vocabulary())):
        costs = (
            f"{_microseconds(count_text, encode_conversation('openai', size)):,.0f} µs for {name}"
            for name, size in SIZES
        )
        lines.append(f"{way}: {', '.join(costs)}")
    return "\n".join(lines)


def _microseconds(count_text: TextCount, body: bytes) -> float:
    return 1e6 * min(repeat(lambda: count_text(body), number=LOOP, repeat=5)) / LOOP


SIZES = (("2 KB", 2_000), ("100 KB", 100_000))
LOOP = 100
OPENAI = "OpenAI"
LOCAL_MODELS = {"gemma3": "Gemma 3", "smollm2": "SmolLM2"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.token_counts", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    options = parser.parse_args(arguments)
    truths = {OPENAI: by_encoding(ENCODING), "Qwen 3.5": by_encoding("qwen3.5")}
    missing = {name: reason for name in LOCAL_MODELS if (reason := available(name))}
    with running([LocalModel(name, 0) for name in LOCAL_MODELS if name not in missing]) as models:
        truths |= {LOCAL_MODELS[model.name]: by_server(model.base_url) for model in models}
        print(render(truths, markdown=options.markdown))
    print(f"\n{render_cost()}")
    for reason in missing.values():
        print(f"left out: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
