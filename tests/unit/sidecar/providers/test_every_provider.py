"""Every provider of `examples/rules` on the wire: what it receives from an agent of either vendor, plain and streamed.

The rules are compiled as they stand; only the host of each base URL is put on loopback. Expected values are written
from the provider's own documentation or SDK, which each row names.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from schemas.__main__ import read_folder
from schemas.bundle import Bundle, DialectName, GoogleIdentity, Provider, Secret
from schemas.load import load
from sidecar.clock import SYSTEM_CLOCK
from sidecar.core.call import Inbound, PlainReply, StreamReply
from sidecar.core.pipeline import Pipeline
from sidecar.dialects.registry import DIALECTS
from sidecar.limiter.limits import Limits
from sidecar.providers.credentials import Credentials
from sidecar.providers.http import HttpUpstream
from sidecar.providers.own_client import OwnClient
from tests.fakes import clouds
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.accounts import service_account
from tests.fakes.eventstream import pack
from tests.fakes.ports import Agent, KeepingSink
from tests.fakes.provider import Answer, FakeProvider, Received, providing

RULES = Path(__file__).parents[4] / "examples" / "rules"
LOADED = load(read_folder(RULES), today=date(2026, 11, 23), revision="r")
assert LOADED.bundle is not None
EXAMPLES: Bundle = LOADED.bundle
TOKEN = "token-of-the-cloud"

OPENAI_BODY = {
    "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    "max_completion_tokens": 50,
    "seed": 7,
    "user": "u-1",
    "logprobs": True,
    "temperature": 0.5,
}
ANTHROPIC_BODY = {
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Hello"}],
    "max_tokens": 50,
    "temperature": 0.5,
}


@dataclass(frozen=True)
class Row:
    """What a provider must receive."""

    name: str
    """Its name of the model, as its documentation writes such names."""
    path: str
    streamed: str = ""
    """The path of a stream, where it is another."""
    key: tuple[str, str] | None = ("authorization", "Bearer {key}")
    """The header that shows the key or token, and how."""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, object] = field(default_factory=dict)
    """Fields of the body, from either agent."""
    lacks: frozenset[str] = frozenset()
    """Fields that would be refused or ignored."""
    usage_asked: bool = True
    """A stream asks for its usage (`stream_options`)."""


LIMIT = {"max_completion_tokens": 50}
OLD_LIMIT = {"max_tokens": 50}
CHAT = "/v1/chat/completions"

ROWS: dict[str, Row] = {
    # openai-python, `_client.py` (base_url, bearer) and `types/chat/completion_create_params`.
    "openai": Row("gpt-5", CHAT, sent=LIMIT),
    # anthropic-sdk-python, `_client.py`; platform.claude.com, "Versions" and "Messages".
    "anthropic": Row(
        "claude-sonnet-4-6",
        "/v1/messages",
        key=("x-api-key", "{key}"),
        headers={"anthropic-version": "2023-06-01"},
        sent=OLD_LIMIT | {"model": "claude-sonnet-4-6"},
    ),
    # google-genai, `_api_client.py` (x-goog-api-key) and `models.py` (paths); ai.google.dev/api/generate-content.
    "gemini": Row(
        "gemini-3.1-pro-preview",
        "/v1beta/models/gemini-3.1-pro-preview:generateContent",
        "/v1beta/models/gemini-3.1-pro-preview:streamGenerateContent?alt=sse",
        key=("x-goog-api-key", "{key}"),
        lacks=frozenset({"model", "stream"}),
    ),
    # docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference; google-genai with vertexai=True.
    "vertex": Row(
        "gemini-3.1-pro-preview",
        "/v1/projects/YOUR-PROJECT/locations/us-central1/publishers/google/models/gemini-3.1-pro-preview:generateContent",
        "/v1/projects/YOUR-PROJECT/locations/us-central1/publishers/google/models/gemini-3.1-pro-preview"
        ":streamGenerateContent?alt=sse",
        lacks=frozenset({"model", "stream"}),
    ),
    # docs.cloud.google.com/vertex-ai/generative-ai/docs/migrate/openai/overview.
    "vertex-openai": Row(
        "google/gemini-3.1-pro-preview",
        "/v1/projects/YOUR-PROJECT/locations/us-central1/endpoints/openapi/chat/completions",
        sent=LIMIT,
    ),
    # docs.cloud.google.com, "Request predictions with Claude models"; anthropic SDK, `lib/vertex/_client.py`.
    "vertex-claude": Row(
        "claude-sonnet-4-6",
        "/v1/projects/YOUR-PROJECT/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-6:rawPredict",
        "/v1/projects/YOUR-PROJECT/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-6:streamRawPredict",
        sent=OLD_LIMIT | {"anthropic_version": "vertex-2023-10-16"},
        lacks=frozenset({"model"}),
    ),
    # learn.microsoft.com/azure/foundry/openai/api-version-lifecycle and /reference (the header `api-key`).
    "azure": Row("my-deployment", "/openai/v1/chat/completions", key=("api-key", "{key}"), sent=LIMIT),
    # learn.microsoft.com/azure/developer/ai/keyless-connections.
    "azure-entra": Row("my-deployment", "/openai/v1/chat/completions", sent=LIMIT),
    # openai-python, `lib/azure.py`: /openai/deployments/{deployment}, api-version in the query.
    "azure-deployments": Row(
        "my-deployment",
        "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21",
        key=("api-key", "{key}"),
        sent=LIMIT,
    ),
    # docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.
    "bedrock": Row("openai.gpt-oss-20b-1:0", "/openai/v1/chat/completions", sent=LIMIT),
    "bedrock-signed": Row("openai.gpt-oss-20b-1:0", "/openai/v1/chat/completions", key=None, sent=LIMIT),
    # botocore, bedrock-runtime: Converse and ConverseStream (`requestUri`, smithy.api#httpBearerAuth).
    "bedrock-converse": Row(
        "us.amazon.nova-pro-v1:0",
        "/model/us.amazon.nova-pro-v1:0/converse",
        "/model/us.amazon.nova-pro-v1:0/converse-stream",
        sent={"system": [{"text": "Be brief."}], "inferenceConfig": {"maxTokens": 50, "temperature": 0.5}},
        lacks=frozenset({"model", "stream"}),
    ),
    # anthropic SDK, `lib/bedrock/_client.py`; docs.aws.amazon.com, "Anthropic Claude Messages API".
    "bedrock-claude": Row(
        "us.anthropic.claude-sonnet-4-6",
        "/model/us.anthropic.claude-sonnet-4-6/invoke",
        "/model/us.anthropic.claude-sonnet-4-6/invoke-with-response-stream",
        key=None,
        sent=OLD_LIMIT | {"anthropic_version": "bedrock-2023-05-31"},
        lacks=frozenset({"model", "stream"}),
    ),
    # mistralai/client-python, `models/chatcompletionrequest`; what it does not name is refused (422, extra_forbidden).
    "mistral": Row(
        "mistral-large-2512",
        CHAT,
        sent=OLD_LIMIT,
        lacks=frozenset({"max_completion_tokens", "seed", "user", "logprobs", "stream_options"}),
        usage_asked=False,
    ),
    # docs.together.ai/docs/inference/openai-compatibility; together-py, `types/chat/completion_create_params`.
    "together": Row(
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        CHAT,
        sent=OLD_LIMIT,
        lacks=frozenset({"max_completion_tokens"}),
    ),
    # docs.fireworks.ai/tools-sdks/openai-compatibility; API reference: max_completion_tokens is an alias.
    "fireworks": Row("accounts/fireworks/models/llama-v3p1-8b-instruct", "/inference/v1/chat/completions", sent=LIMIT),
    # docs.anyscale.com/llms/serving: the OpenAI client with base_url <service>/v1 and the service's token.
    "anyscale": Row("my-model", CHAT, sent=LIMIT),
    # console.groq.com/docs/openai, "Currently Unsupported OpenAI Features".
    "groq": Row(
        "openai/gpt-oss-20b",
        "/openai/v1/chat/completions",
        sent=LIMIT,
        lacks=frozenset({"logprobs", "top_logprobs", "logit_bias"}),
    ),
    # api-docs.deepseek.com and its api/create-chat-completion.
    "deepseek": Row("deepseek-chat", "/chat/completions", sent=OLD_LIMIT, lacks=frozenset({"max_completion_tokens"})),
    # docs.x.ai/docs/api-reference, "Chat completions".
    "xai": Row("grok-4.7", CHAT, sent=LIMIT),
    # openrouter.ai/docs/api-reference/overview.
    "openrouter": Row("openai/gpt-5-codex", "/api/v1/chat/completions", sent=LIMIT),
    # vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions.
    "vercel": Row("anthropic/claude-sonnet-4.6", CHAT, sent=LIMIT),
    # docs.litellm.ai/docs/simple_proxy: any OpenAI client with the proxy's URL and a virtual key.
    "litellm": Row("my-alias", CHAT, sent=LIMIT),
    # docs.vllm.ai/en/latest/serving/openai_compatible_server.
    "vllm": Row("Qwen/Qwen3-8B", CHAT, key=None, sent=LIMIT),
    # docs.ollama.com/openai, "Supported request fields"; ollama/ollama, issue 7125.
    "ollama": Row("llama3.1:8b", CHAT, key=None, sent=OLD_LIMIT, lacks=frozenset({"max_completion_tokens"})),
    # ggml-org/llama.cpp, tools/server/README.md.
    "llama-cpp": Row("any", CHAT, key=None, sent=LIMIT),
}
BESIDE_THE_EXAMPLES: dict[str, tuple[Provider, Row]] = {
    "any OpenAI-compatible URL": (
        Provider(dialect="openai", base_url="https://models.example/team/api/v3", api_key=Secret(env="SOME_KEY")),
        Row("our-model", "/team/api/v3/chat/completions", sent=LIMIT),
    ),
    # platform.openai.com/docs/guides/supervised-fine-tuning: the id that the job returns is the model's name.
    "a fine-tuned model": (EXAMPLES.providers["openai"], Row("ft:gpt-4.1-mini:acme::B1x2y3", CHAT, sent=LIMIT)),
    # docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse, "modelId": one of your own is an ARN.
    "a model behind an ARN": (
        EXAMPLES.providers["bedrock-converse"],
        Row(
            "arn:aws:bedrock:us-east-1:1:imported-model/a1",
            "/model/arn:aws:bedrock:us-east-1:1:imported-model%2Fa1/converse",
            "/model/arn:aws:bedrock:us-east-1:1:imported-model%2Fa1/converse-stream",
            lacks=frozenset({"model", "stream"}),
        ),
    ),
}
CASES = {**{name: (EXAMPLES.providers[name], row) for name, row in ROWS.items()}, **BESIDE_THE_EXAMPLES}


def test_every_example_provider_has_its_row() -> None:
    assert set(ROWS) == set(EXAMPLES.providers)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint, _ in CASES.values():
        for secret in endpoint.keys:
            monkeypatch.setenv(str(secret.env), f"key-{secret.env}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDROLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def token_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeProvider]:
    """The clouds' own: Google's token endpoint and what App Service offers a pod (azure-identity)."""
    said = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
    said |= {"expires_on": str(int(SYSTEM_CLOCK.now()) + 3600)}
    answer = Answer(headers={"content-type": "application/json"}, body=json.dumps(said).encode())
    async with providing(lambda _: answer) as fake:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header-secret")
        yield fake


CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 10, "outputTokens": 2, "totalTokens": 12},
}
CONVERSE_STREAM = """messageStart {"role":"assistant"}
contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"Hi"}}
contentBlockStop {"contentBlockIndex":0}
messageStop {"stopReason":"end_turn"}
metadata {"usage":{"inputTokens":10,"outputTokens":2,"totalTokens":12},"metrics":{"latencyMs":1}}
"""
GENERATED = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2},
}


def answer_in(endpoint: Provider, *, stream: bool) -> bytes:
    """A small whole answer, as a provider of this dialect and layout gives it."""
    if endpoint.dialect == "openai":
        return b"".join(wire.STREAM) if stream else wire.chat_answer()
    if endpoint.dialect == "gemini":
        return wire.event(GENERATED) if stream else json.dumps(GENERATED).encode()
    if endpoint.dialect == "bedrock":
        return pack(CONVERSE_STREAM) if stream else json.dumps(CONVERSE).encode()
    if not stream:
        return json.dumps(clouds.MESSAGE).encode()
    if endpoint.layout == "bedrock-invoke":
        return pack("".join(clouds.frame(event) for event in clouds.EVENTS))
    return b"".join(b"event: %b\n" % event["type"].encode() + wire.event(event) for event in clouds.EVENTS)


async def received_by(
    endpoint: Provider, model_name: str, dialect: DialectName, body: Mapping[str, object], *, stream: bool
) -> tuple[Received, PlainReply | StreamReply, KeepingSink]:
    async with providing(lambda _: Answer(body=answer_in(endpoint, stream=stream))) as fake:
        at_home = msgspec.structs.replace(endpoint, base_url=fake.url + urlsplit(endpoint.base_url).path)
        model = bundles.model("one")
        door = msgspec.structs.replace(model.served_by[0], name=model_name)
        snapshot = bundles.snapshot(
            providers={"one": at_home},
            models={"alpha": msgspec.structs.replace(model, served_by=(door,))},
            chain=("alpha",),
        )
        upstream, sink = HttpUpstream(Credentials(), OwnClient()), KeepingSink()
        limits = Limits(clock=SYSTEM_CLOCK, observer=sink)
        pipeline = Pipeline(
            sidecar="s",
            clock=SYSTEM_CLOCK,
            upstream=upstream,
            sink=sink,
            observers=(),
            limits=limits,
        )
        asked = json.dumps({"model": "chat", **body, **({"stream": True} if stream else {})}).encode()
        now, started = SYSTEM_CLOCK.now(), SYSTEM_CLOCK.monotonic()
        reply = await pipeline.run(Inbound("pm-1", DIALECTS[dialect], asked, {}, snapshot, None, now, started))
        if stream:
            await reply.pump(Agent().write)  # type: ignore[union-attr]
        await upstream.close()
        (received,) = fake.received
        return received, reply, sink


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("dialect", "body"), [("openai", OPENAI_BODY), ("anthropic", ANTHROPIC_BODY)])
@pytest.mark.parametrize("case", list(CASES))
async def test_what_a_provider_receives(
    case: str,
    dialect: DialectName,
    body: dict[str, Any],
    stream: bool,
    token_server: FakeProvider,
    tmp_path: Path,
) -> None:
    endpoint, row = CASES[case]
    if isinstance(endpoint.identity, GoogleIdentity):
        account = service_account(tmp_path, f"{token_server.url}/token")
        endpoint = msgspec.structs.replace(endpoint, identity=GoogleIdentity(file=account))
    received, reply, sink = await received_by(endpoint, row.name, dialect, body, stream=stream)
    assert received.method == "POST"
    assert received.path == (row.streamed or row.path if stream else row.path)
    key = f"key-{endpoint.keys[0].env}" if endpoint.keys else TOKEN
    shown = {name: text for name, text in received.headers.items() if name in ("authorization", "x-api-key", "api-key")}
    shown |= {name: text for name, text in received.headers.items() if name == "x-goog-api-key"}
    if row.key is not None:
        assert shown == {row.key[0]: row.key[1].format(key=key)}
    elif endpoint.identity is not None:
        assert set(shown) == {"authorization"}
        assert "/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date" in shown["authorization"]
    else:
        assert shown == {}
    assert received.headers["content-type"] == "application/json"
    assert {name: received.headers.get(name) for name in row.headers} == dict(row.headers)
    sent = json.loads(received.body)
    assert {name: sent.get(name) for name in row.sent} == dict(row.sent)
    assert not row.lacks & set(sent)
    if endpoint.dialect == "openai":
        assert sent["model"] == row.name
        assert sent.get("stream", False) is stream
        assert sent.get("stream_options") == ({"include_usage": True} if stream and row.usage_asked else None)
    assert sink.only.outcome == "ok"
    assert not sink.only.estimated
    gone = {name for name in row.lacks & set(body) if endpoint.fields.get(name, "") is None}
    assert gone <= set(reply.headers.get("x-pointsman-dropped", "").split(", "))
