"""Claude at Bedrock's InvokeModel and at Vertex AI through a sidecar process, by Anthropic's SDK and by OpenAI's."""

from collections.abc import Iterator
from decimal import Decimal

import anthropic
import openai
import pytest

from schemas.bundle import AwsIdentity
from schemas.record import Usage
from tests.fakes import bundles, wire
from tests.fakes.clouds import CLOUDS, EVENTS, TEXT
from tests.fakes.endpoints import EndpointsFake, endpoints_fake
from tests.fakes.sidecar import SidecarProcess, StartSidecar

KEY = "bedrock-api-key-0123456789"
QUESTION = "When does the train leave?"
BILLED = Usage(input_tokens=9, output_tokens=7)
COST = (9 * Decimal("0.25") + 7 * Decimal("2.00")) / 1_000_000


@pytest.fixture(scope="module")
def fake() -> Iterator[EndpointsFake]:
    with endpoints_fake(CLOUDS) as made:
        yield made


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, fake: EndpointsFake) -> SidecarProcess:
    bedrock = {"dialect": "anthropic", "url": fake.url, "layout": "bedrock-invoke"}
    signed = AwsIdentity(region="us-east-1")
    project = f"{fake.url}/v1/projects/p/locations/l"
    rules = bundles.bundle(
        {
            "bedrock": bundles.provider(**bedrock, key_env="KEY"),
            "signed": bundles.provider(**bedrock, identity=signed),
            "vertex": bundles.provider("anthropic", project, key_env="KEY", layout="vertex"),
        },
        {
            "bedrock": bundles.model("bedrock", name="anthropic.claude-v1:0"),
            "signed": bundles.model("signed", name="us.anthropic.claude-v1:0"),
            "vertex": bundles.model("vertex", name="claude@20260101"),
            **{name: bundles.model("bedrock", name=name) for name in ("refused", "throttled", "broken")},
        },
        {
            "bedrock": bundles.use_case("bedrock"),
            "signed": bundles.use_case("signed"),
            "vertex": bundles.use_case("vertex"),
            "refused": bundles.use_case("refused", "vertex"),
            "throttled": bundles.use_case("throttled", "vertex"),
            "broken": bundles.use_case("broken", "vertex"),
        },
    )
    keys = {"KEY": KEY, "AWS_ACCESS_KEY_ID": "AKIDROLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    return start_sidecar(rules, environment=keys)


@pytest.fixture
def claude(sidecar: SidecarProcess, fake: EndpointsFake) -> Iterator[anthropic.Anthropic]:
    fake.clear()
    with anthropic.Anthropic(base_url=sidecar.url, api_key="agents-own", max_retries=0) as client:
        yield client


def ask(client: anthropic.Anthropic, use_case: str, *, stream: bool) -> tuple[str, anthropic.types.Usage]:
    asked = {"model": use_case, "max_tokens": 50, "messages": [{"role": "user", "content": QUESTION}]}
    if not stream:
        message = client.messages.create(**asked)
    else:
        with client.messages.stream(**asked) as events:
            message = events.get_final_message()
    (block,) = message.content
    assert block.type == "text"
    return block.text, message.usage


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("use_case", "path", "version"),
    [
        ("bedrock", "/model/anthropic.claude-v1:0/invoke", "2026-10-21"),
        ("signed", "/model/us.anthropic.claude-v1:0/invoke", "2026-10-21"),
        ("vertex", "/v1/projects/p/locations/l/publishers/anthropic/models/claude@20260101:rawPredict", "2026-10-21"),
    ],
)
def test_anthropics_sdk_is_answered_and_the_call_is_booked(
    claude: anthropic.Anthropic,
    sidecar: SidecarProcess,
    fake: EndpointsFake,
    use_case: str,
    path: str,
    version: str,
    stream: bool,
) -> None:
    text, usage = ask(claude, use_case, stream=stream)
    assert text == TEXT
    assert (usage.input_tokens, usage.output_tokens) == (9, 7)
    streamed = {"rawPredict": "streamRawPredict", "invoke": "invoke-with-response-stream"}
    method = path.rpartition(":")[2] if use_case == "vertex" else "invoke"
    assert fake.last.path == (path.removesuffix(method) + streamed[method] if stream else path)
    sent = fake.last.json
    assert (sent["anthropic_version"], sent["messages"][0]["content"]) == (version, QUESTION)
    assert "model" not in sent
    assert ("stream" in sent) is (stream and use_case == "vertex")
    assert "anthropic-version" not in fake.last.headers
    shown = fake.last.headers["authorization"]
    assert shown == f"Bearer {KEY}" if use_case != "signed" else "/us-east-1/bedrock/aws4_request" in shown
    assert "agents-own" not in str(fake.last.headers)
    record = sidecar.records()[-1]
    assert (record.provider, record.usage, record.cost_usd, record.estimated) == (use_case, BILLED, COST, False)


@pytest.mark.parametrize("stream", [False, True])
def test_openais_sdk_is_answered_too(sidecar: SidecarProcess, fake: EndpointsFake, stream: bool) -> None:
    with openai.OpenAI(base_url=f"{sidecar.url}/v1", api_key="agents-own", max_retries=0) as client:
        asked = {"model": "bedrock", "messages": [{"role": "user", "content": QUESTION}]}
        if stream:
            chunks = list(client.chat.completions.create(**asked, stream=True))
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        else:
            text = client.chat.completions.create(**asked).choices[0].message.content or ""
    assert text == TEXT
    assert fake.last.json["anthropic_version"] == "bedrock-2023-05-31"


def test_the_stream_is_anthropics_event_by_event(sidecar: SidecarProcess) -> None:
    asked = {"model": "bedrock", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    heard = wire.post(f"{sidecar.url}/v1/messages", asked).body.decode()
    assert [block.split("\n")[0] for block in heard.strip().split("\n\n")] == [f"event: {e['type']}" for e in EVENTS]
    assert "amazon-bedrock-invocationMetrics" in heard


def test_betas_stand_in_the_body(claude: anthropic.Anthropic, fake: EndpointsFake) -> None:
    claude.beta.messages.create(
        model="bedrock", max_tokens=5, messages=[{"role": "user", "content": "Hi"}], betas=["one-2026-01-01", "two"]
    )
    assert fake.last.json["anthropic_beta"] == ["one-2026-01-01", "two"]
    assert "anthropic-beta" not in fake.last.headers


def test_a_request_that_bedrock_finds_wrong_is_refused_in_its_words(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: 999999 > 64000"):
        ask(claude, "refused", stream=True)


@pytest.mark.parametrize("stream", [False, True])
def test_a_throttled_bedrock_is_stood_in_for(
    claude: anthropic.Anthropic, sidecar: SidecarProcess, stream: bool
) -> None:
    assert ask(claude, "throttled", stream=stream)[0] == TEXT
    first, *_, last = sidecar.records()[-1].attempts
    assert (first.provider, first.outcome) == ("bedrock", "throttled")
    assert (last.provider, last.outcome) == ("vertex", "ok")


def test_a_stream_that_breaks_ends_in_anthropics_error_event(
    claude: anthropic.Anthropic, sidecar: SidecarProcess
) -> None:
    with pytest.raises(anthropic.APIStatusError, match="stream failed"):
        ask(claude, "broken", stream=True)
    assert sidecar.records()[-1].outcome == "stream_failed"


@pytest.mark.parametrize(
    ("use_case", "path", "estimated"),
    [
        ("bedrock", "/model/anthropic.claude-v1:0/count-tokens", None),
        ("signed", "/model/us.anthropic.claude-v1:0/count-tokens", "true"),
        ("vertex", "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict", None),
    ],
)
def test_tokens_are_counted_by_the_cloud_or_else_estimated(
    claude: anthropic.Anthropic, fake: EndpointsFake, use_case: str, path: str, estimated: str | None
) -> None:
    raw = claude.messages.with_raw_response.count_tokens(
        model=use_case, messages=[{"role": "user", "content": QUESTION}]
    )
    assert fake.last.path == path
    assert raw.headers.get("x-pointsman-estimated") == estimated
    tokens = raw.parse().input_tokens
    assert tokens == 17 if estimated is None else 3 < tokens < 40
