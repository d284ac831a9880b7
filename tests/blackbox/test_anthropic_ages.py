"""Anthropic's SDKs of two ages: how each shows its key and its API's version, where callers need keys of their own.

The 2.x SDK sends `Authorization: Bearer` and 2026-10-21; older ones, and Vercel's, `x-api-key` and 2023-06-01.
"""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.blackbox.conftest import PROVIDER_KEY
from tests.blackbox.kits.kit import Kit, Settings
from tests.blackbox.kits.registry import KITS
from tests.fakes import bundles, wire
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess

QUESTION = "Which platform?"
CALLER_KEY = "pm-support-0123456789"
OLD, NEW = "2023-06-01", "2026-10-21"
OLD_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, zstd",
    "user-agent": "Anthropic/Python 0.125.0",
    "anthropic-version": OLD,
    "x-stainless-lang": "python",
    "x-stainless-package-version": "0.125.0",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.11.7",
    "x-stainless-async": "false",
    "x-stainless-retry-count": "0",
    "x-stainless-timeout": "600",
    "x-stainless-read-timeout": "600",
}
"""As a server sees anthropic 0.125.0 for Python, which cannot be installed beside 2.x; the key comes on top."""
VERSIONS = {"anthropic-old": OLD, "vercel-anthropic": OLD, "anthropic": NEW, "pydantic-anthropic": NEW}
"""Client to the version that it speaks."""
USE_CASES = pytest.mark.parametrize("use_case", ["to-openai", "to-anthropic"])


@pytest.fixture(scope="module")
def guarded(start_sidecar: StartSidecar, provider: SimulatorProcess) -> SidecarProcess:
    rules = bundles.bundle(
        {
            "openai-side": bundles.provider("openai", provider.url, key_env="PROVIDER_KEY"),
            "anthropic-side": bundles.provider("anthropic", provider.url, key_env="PROVIDER_KEY"),
        },
        {"o-model": bundles.model("openai-side", name="o-1"), "a-model": bundles.model("anthropic-side", name="a-1")},
        {"to-openai": bundles.use_case("o-model"), "to-anthropic": bundles.use_case("a-model")},
        callers=(bundles.caller("support-bot", CALLER_KEY),),
    )
    return start_sidecar(rules, environment={"PROVIDER_KEY": PROVIDER_KEY})


def asked_by_old(url: str, key: str) -> Callable[[str], wire.Reply]:
    def ask(use_case: str) -> wire.Reply:
        body = {"model": use_case, "max_tokens": 100, "messages": [{"role": "user", "content": QUESTION}]}
        return wire.post(f"{url}/v1/messages", body, OLD_HEADERS | {"x-api-key": key})

    return ask


@pytest.fixture(scope="module", params=sorted(VERSIONS))
def client(request: pytest.FixtureRequest, guarded: SidecarProcess) -> Iterator[tuple[str, Callable[[str], str]]]:
    """The name of a client, and what it hears from a use case."""
    if request.param == "anthropic-old":
        ask = asked_by_old(guarded.url, CALLER_KEY)
        yield request.param, lambda use_case: str(ask(use_case).json["content"][0]["text"])
        return
    with closing(KITS[request.param](Settings(guarded.url, key=CALLER_KEY))) as kit:
        yield request.param, lambda use_case: kit.plain(use_case, QUESTION)


@USE_CASES
def test_each_is_known_by_its_key_and_answered(
    guarded: SidecarProcess, provider: SimulatorProcess, client: tuple[str, Callable[[str], str]], use_case: str
) -> None:
    provider.clear()
    name, ask = client
    assert f'"{QUESTION}"' in ask(use_case)
    assert guarded.records()[-1].caller == "support-bot"
    headers = provider.entries()[-1]["headers"]
    shown = {header: headers[header] for header in ("authorization", "x-api-key") if header in headers}
    bearer, bare = {"authorization": f"Bearer ***{PROVIDER_KEY[-4:]}"}, {"x-api-key": f"***{PROVIDER_KEY[-4:]}"}
    if use_case == "to-openai":
        assert shown == bearer
        assert "anthropic-version" not in headers
    else:
        assert headers["anthropic-version"] == VERSIONS[name]
        assert shown == (bearer if VERSIONS[name] == NEW else bare)


@USE_CASES
@pytest.mark.parametrize("name", ["anthropic", "vercel-anthropic"])
def test_a_wrong_key_is_refused_in_either_header(guarded: SidecarProcess, name: str, use_case: str) -> None:
    kit: Kit
    with closing(KITS[name](Settings(guarded.url, key="pm-nobody-0123456789"))) as kit:
        with pytest.raises(Exception) as caught:  # noqa: PT011  # `failure` says of which class it has to be
            kit.plain(use_case, QUESTION)
        assert kit.failure(caught.value).status == 401
    assert asked_by_old(guarded.url, "pm-nobody-0123456789")(use_case).status == 401


def test_what_crosses_is_sent_in_the_version_that_takes_sampling_knobs(
    guarded: SidecarProcess, provider: SimulatorProcess
) -> None:
    """Under the newer one Anthropic refuses a temperature, which other dialects' callers send."""
    provider.clear()
    headers = {"authorization": f"Bearer {CALLER_KEY}"}
    body = {"model": "to-anthropic", "temperature": 0.2, "messages": [{"role": "user", "content": QUESTION}]}
    assert wire.post(f"{guarded.url}/v1/chat/completions", body, headers).status == 200
    (entry,) = provider.entries()
    assert (entry["headers"]["anthropic-version"], entry["body"]["temperature"]) == (OLD, 0.2)
