"""Every seed of the fuzzers, and whatever broke once, is taken without a crash; and so is each with a byte amiss."""

import pytest

from tests.fuzz.corpus import SEEDS, seeds_of
from tests.fuzz.targets import TARGETS_BY_NAME


def test_every_target_has_seeds() -> None:
    assert set(SEEDS) == set(TARGETS_BY_NAME)
    assert all(any(seeds_of(name)) for name in SEEDS)


@pytest.mark.parametrize("name", TARGETS_BY_NAME)
def test_what_is_known_breaks_nothing(name: str) -> None:
    for seed in seeds_of(name):
        data = seed.read_bytes()
        TARGETS_BY_NAME[name](data)
        for changed in (
            data[: len(data) // 2],
            data.replace(b'"', b"", 1),
            data.replace(b":", b":\xff", 1),
            data + b"\0",
        ):
            TARGETS_BY_NAME[name](changed)
