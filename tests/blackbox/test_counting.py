"""Counting tokens with the official SDKs, through a sidecar process."""

from collections.abc import Iterator

import anthropic
import pytest
from google import genai
from toktok import batch_count

from tests.fakes import bundles
from tests.fakes.endpoints import EndpointsFake, endpoints_fake
from tests.fakes.sidecar import SidecarProcess, StartSidecar

LONG = "Ein Gepäckträger schob 3 Kisten, 夜行列車は遅れていた, at 09:26:53Z. " * 30
QUESTION = "Where is the station, and when does it open?"


@pytest.fixture(scope="module")
def fake() -> Iterator[EndpointsFake]:
    with endpoints_fake() as made:
        yield made


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, fake: EndpointsFake) -> SidecarProcess:
    dialects = ("openai", "anthropic", "gemini")
    rules = bundles.bundle(
        {dialect: bundles.provider(dialect, fake.url) for dialect in dialects},
        {f"m-{dialect}": bundles.model(dialect, name=f"{dialect}-1") for dialect in dialects},
        {f"to-{dialect}": bundles.use_case(f"m-{dialect}") for dialect in dialects},
    )
    return start_sidecar(rules)


@pytest.mark.parametrize(("use_case", "estimated"), [("to-anthropic", None), ("to-gemini", "true")])
def test_anthropics_sdk(sidecar: SidecarProcess, use_case: str, estimated: str | None) -> None:
    with anthropic.Anthropic(base_url=sidecar.url, api_key="none") as client:
        raw = client.messages.with_raw_response.count_tokens(
            model=use_case, messages=[{"role": "user", "content": QUESTION}]
        )
    assert raw.headers.get("x-pointsman-estimated") == estimated
    tokens = raw.parse().input_tokens
    assert tokens == 17 if estimated is None else 5 < tokens < 50
    assert sidecar.records() == []


@pytest.mark.parametrize(("use_case", "exact"), [("to-gemini", True), ("to-openai", False)])
def test_googles_sdk(sidecar: SidecarProcess, use_case: str, exact: bool) -> None:
    with genai.Client(api_key="none", http_options={"base_url": sidecar.url}) as client:
        tokens = client.models.count_tokens(model=use_case, contents=QUESTION).total_tokens
    assert tokens is not None
    assert tokens == 31 if exact else 5 < tokens < 50


def test_with_a_vocabulary_the_sidecars_own_count_knows_every_text(
    start_sidecar: StartSidecar, fake: EndpointsFake
) -> None:
    rules = bundles.bundle(
        {"openai": bundles.provider("openai", fake.url)},
        {"m": bundles.model("openai", name="m-1")},
        {"chat": bundles.use_case("m")},
    )
    counting = start_sidecar(rules, options=("--token-counts", "vocabulary"))

    def count(text: str) -> int:
        with anthropic.Anthropic(base_url=counting.url, api_key="none") as client:
            return client.messages.count_tokens(model="chat", messages=[{"role": "user", "content": text}]).input_tokens

    assert count(LONG) - count("") == batch_count([LONG], "o200k_base")[0]
