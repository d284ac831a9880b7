"""Every SDK through a sidecar process to a real small model, by each of the three APIs that its server speaks."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from schemas.bundle import Timeouts
from tests.blackbox.kits.kit import Kit, Settings
from tests.blackbox.kits.registry import KITS
from tests.fakes import bundles
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.small_model import serving_small_model

QUESTION = "Write one short sentence about railways."
SHORT, LONG_ENOUGH = 4, 160
"""Tokens of an answer: of a text the beginning is enough, a value has to be whole."""
USE_CASES = ("to-chat", "to-messages", "to-responses")


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    patient = Timeouts(deadline=120.0, first_token=60.0, stream_idle=60.0)
    with serving_small_model(tmp_path_factory.mktemp("model")) as base_url:
        root = base_url.removesuffix("/v1")
        providers = {
            "chat": bundles.provider("openai", root),
            "messages": bundles.provider("anthropic", root),
            "responses": bundles.provider("openai-responses", base_url),
        }
        models = {
            name: bundles.model(name, name="smollm2", context_window=2048, max_output_tokens=1024) for name in providers
        }
        use_cases = {f"to-{name}": bundles.use_case(name, timeouts=patient) for name in providers}
        yield start_sidecar(bundles.bundle(providers, models, use_cases))


def made(sidecar: SidecarProcess, limit: int) -> Iterator[dict[str, Kit]]:
    with ExitStack() as ends:
        settings = Settings(sidecar.url, limit=limit)
        yield {name: ends.enter_context(closing(make(settings))) for name, make in KITS.items()}


@pytest.fixture(scope="module")
def short_kits(sidecar: SidecarProcess) -> Iterator[dict[str, Kit]]:
    yield from made(sidecar, SHORT)


@pytest.fixture(scope="module")
def kits(sidecar: SidecarProcess) -> Iterator[dict[str, Kit]]:
    yield from made(sidecar, LONG_ENOUGH)


CELLS = [(name, use_case) for name in sorted(KITS) for use_case in USE_CASES]
REFUSED = {("vercel-responses", "to-responses")}
"""What passes through is what llama.cpp sends, and Vercel's SDK wants more fields in a stream than it says."""


@pytest.mark.parametrize(("name", "use_case"), CELLS)
def test_a_plain_text(short_kits: dict[str, Kit], sidecar: SidecarProcess, name: str, use_case: str) -> None:
    assert short_kits[name].plain(use_case, QUESTION).strip()
    assert_booked(sidecar, is_stream=False)


@pytest.mark.parametrize(("name", "use_case"), [cell for cell in CELLS if cell not in REFUSED])
def test_a_streamed_text(short_kits: dict[str, Kit], sidecar: SidecarProcess, name: str, use_case: str) -> None:
    assert short_kits[name].streamed(use_case, QUESTION).strip()
    assert_booked(sidecar, is_stream=True)


def assert_booked(sidecar: SidecarProcess, *, is_stream: bool) -> None:
    record = sidecar.records()[-1]
    assert (record.outcome, record.stream, record.estimated) == ("ok", is_stream, False)
    assert record.usage is not None
    assert record.usage.input_tokens > 5
    assert 0 < record.usage.output_tokens <= SHORT


@pytest.mark.parametrize("name", sorted(KITS))
def test_a_schema_is_kept(kits: dict[str, Kit], name: str) -> None:
    """A schema binds even so small a model: llama.cpp's chat API samples by a grammar made from it."""
    value = kits[name].structured("to-chat", "Where does it rain today?")
    assert set(value) == {"city", "days"}
    assert value["city"] in ("Oslo", "Rome", "Lima")
    assert type(value["days"]) is int
