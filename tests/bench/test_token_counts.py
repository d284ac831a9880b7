"""What the estimate may be off, by kind of text: a change of its weights that makes it worse is seen here."""

import re
from collections.abc import Sequence

import pytest

from controller.demo.local_models import LocalModel, running
from sidecar.vocabulary import ENCODING
from tests.bench.token_counts import (
    by_encoding,
    by_server,
    counted,
    error_of,
    estimated,
    read_corpus,
    render,
    render_cost,
)

CORPUS = read_corpus()
OPENAI = by_encoding(ENCODING)

MOST_OFF = {
    "arabic": (0.15, 0.25),
    "chinese": (0.10, 0.20),
    "code": (0.05, 0.25),
    "english": (0.05, 0.10),
    "german": (0.10, 0.15),
    "hindi": (0.12, 0.16),
    "japanese": (0.05, 0.20),
    "json": (0.10, 0.25),
    "korean": (0.10, 0.25),
    "logs": (0.20, 0.22),
    "markdown": (0.15, 0.25),
    "russian": (0.15, 0.25),
}
"""Of the mean and of the worst text, to OpenAI's tokens."""


def test_every_kind_has_its_bounds_and_several_texts() -> None:
    assert CORPUS.keys() == MOST_OFF.keys()
    assert all(len(texts) >= 3 for texts in CORPUS.values())


@pytest.mark.parametrize(("kind", "texts"), CORPUS.items())
def test_the_estimate_is_within_its_bounds(kind: str, texts: Sequence[str]) -> None:
    error = error_of(estimated, OPENAI, texts)
    mean, worst = MOST_OFF[kind]
    assert abs(error.mean) <= mean
    assert abs(error.worst) <= worst


@pytest.mark.parametrize(("kind", "texts"), CORPUS.items())
def test_the_vocabulary_is_never_off_for_openais_models(kind: str, texts: Sequence[str]) -> None:
    assert error_of(counted(), OPENAI, texts).worst == 0


def test_a_real_models_tokens_are_read_from_its_server() -> None:
    with running([LocalModel("smollm2", 0)]) as (model,):
        count = by_server(model.base_url)
        assert count("") == 0
        assert count("Hello") + count(" there") == count("Hello there") == 2
        assert abs(error_of(estimated, count, CORPUS["english"]).mean) < 0.1
        table = render({"SmolLM2": count}, markdown=True).splitlines()
    assert table[0] == "| mean (worst) error | estimate / SmolLM2 | vocabulary / SmolLM2 |"
    assert [line.split("|")[1].strip() for line in table[2:]] == sorted(CORPUS)


def test_what_counting_costs_is_told_for_both_ways_and_sizes() -> None:
    assert re.findall(r"(\w+): \S+ µs for 2 KB, \S+ µs for 100 KB", render_cost()) == ["estimate", "vocabulary"]
