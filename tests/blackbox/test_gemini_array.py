"""Google's stream as one JSON array through a sidecar process: passed through, translated, and broken off."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.blackbox.conftest import PROVIDER_KEY
from tests.fakes import bundles, wire
from tests.fakes.gemini import FakeGemini, serving_gemini
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess

CALLER_KEY = "pm-caller-0123456789"
BODY = {"contents": [{"parts": [{"text": "Where is the station?"}]}]}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeGemini]:
    with serving_gemini() as served:
        yield served


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, fake: FakeGemini, provider: SimulatorProcess) -> SidecarProcess:
    rules = bundles.bundle(
        {
            "google": bundles.provider("gemini", fake.url),
            "openai-side": bundles.provider("openai", provider.url, key_env="PROVIDER_KEY"),
            "anthropic-side": bundles.provider("anthropic", provider.url, key_env="PROVIDER_KEY"),
        },
        {
            "g-model": bundles.model("google", name="g-1"),
            "o-model": bundles.model("openai-side", name="o-1"),
            "a-model": bundles.model("anthropic-side", name="a-1"),
        },
        {
            "to-gemini": bundles.use_case("g-model"),
            "to-openai": bundles.use_case("o-model"),
            "to-anthropic": bundles.use_case("a-model"),
        },
        callers=[bundles.caller("bot", CALLER_KEY)],
    )
    return start_sidecar(rules, environment={"PROVIDER_KEY": PROVIDER_KEY})


def ask(sidecar: SidecarProcess, use_case: str, query: str = "") -> wire.Reply:
    url = f"{sidecar.url}/v1beta/models/{use_case}:streamGenerateContent?key={CALLER_KEY}{query}"
    return wire.post(url, BODY)


@pytest.mark.parametrize("use_case", ["to-gemini", "to-openai", "to-anthropic"])
def test_its_elements_are_the_documents_of_the_events(sidecar: SidecarProcess, use_case: str) -> None:
    reply = ask(sidecar, use_case)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=UTF-8")
    lines = ask(sidecar, use_case, "&alt=sse").body.splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
    assert [said(element) for element in reply.json] == [said(event) for event in events]
    assert [record.outcome for record in sidecar.records()[-2:]] == ["ok", "ok"]


def said(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "responseId"}


def test_one_that_breaks_ends_in_an_error(sidecar: SidecarProcess, fake: FakeGemini) -> None:
    half = {"candidates": [{"content": {"parts": [{"text": "Half"}], "role": "model"}, "index": 0}]}
    fake.streams.append(b"data: " + json.dumps(half).encode() + b"\r\n\r\n")
    first, last = ask(sidecar, "to-gemini").json
    assert first == half
    assert last["error"]["details"][0]["reason"] == "stream_cut"


def test_a_key_in_the_query_is_in_no_log_and_no_record_and_reaches_nobody(
    sidecar: SidecarProcess, fake: FakeGemini
) -> None:
    fake.requests.clear()
    call_id = ask(sidecar, "to-gemini").headers["x-pointsman-request-id"]
    assert ask(sidecar, "nowhere").status == 404
    told = (json.dumps(fake.requests), sidecar.stderr(), str(sidecar.record(call_id)), sidecar.metrics())
    assert not any(CALLER_KEY in text for text in told)
