"""SmolLM2 in llama.cpp's own server, as a process: a real model, small enough for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.demo import local_models
from tests.fakes.processes import Child


@contextmanager
def serving_small_model(folder: Path) -> Iterator[str]:
    """Gives its `base_url` as OpenAI's SDK takes it. Where its packages are missing the test fails and says so."""
    if missing := local_models.available("smollm2"):
        pytest.fail(f"{missing} — `make test` installs everything that the tests need", pytrace=False)
    child = Child.start(["-m", "controller.demo.local_models", "smollm2=0"], log=folder / "model.log")
    try:
        yield child.wait_for(r"^READY smollm2 (\S+)$", within_seconds=60)[1]
    finally:
        child.stop()
