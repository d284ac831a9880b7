"""A call in the words of the OpenTelemetry GenAI conventions: names of spans, attributes, bounds of histograms. Pure.

The conventions are in development; what they have no word for is under `pointsman.`. Never a prompt or an answer.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from schemas.bundle import AwsIdentity, EntraIdentity, GoogleIdentity, Provider
from schemas.record import AttemptRecord, CallRecord
from sidecar.accounting.books import BELOW_BAR, OK, usd_text
from sidecar.routing.snapshot import Target

Value = str | int | float | bool | tuple[str, ...]
Attributes = dict[str, Value]

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"
CONVERSATION: Final = "gen_ai.conversation.id"
AGENT: Final = "gen_ai.agent.name"
ERROR: Final = "error.type"
ADDRESS: Final = "server.address"
PORT: Final = "server.port"
STATUS_CODE: Final = "http.response.status_code"

SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_SECONDS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
TOKENS: Final = tuple(4**power for power in range(14))

HOSTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "api.anthropic.com": "anthropic",
        "api.cohere.com": "cohere",
        "api.deepseek.com": "deepseek",
        "api.groq.com": "groq",
        "api.mistral.ai": "mistral_ai",
        "api.openai.com": "openai",
        "api.perplexity.ai": "perplexity",
        "api.x.ai": "x_ai",
        "generativelanguage.googleapis.com": "gcp.gemini",
    }
)
"""The conventions' own words for providers, by where they are called."""
AZURE_HOSTS: Final = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
CLIENT_SIDE: Final = frozenset({OK, BELOW_BAR})
"""Endings of an attempt in which its provider did what it was asked."""


@lru_cache(maxsize=1024)
def server_of(base_url: str) -> tuple[str, int]:
    """Host and port that a provider is called at."""
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def provider_name(endpoint: Provider, name: str) -> str:
    """The conventions' word for the provider; else the rules' `name`."""
    host, _ = server_of(endpoint.base_url)
    if isinstance(endpoint.identity, AwsIdentity) or endpoint.dialect == "bedrock":
        return "aws.bedrock"
    if isinstance(endpoint.identity, GoogleIdentity) or endpoint.layout == "vertex":
        return "gcp.vertex_ai"
    is_azure = isinstance(endpoint.identity, EntraIdentity) or endpoint.layout == "azure-deployments"
    if is_azure or host.endswith(AZURE_HOSTS):
        return "azure.ai.openai"
    return HOSTS.get(host, name)


def operation_of(record: CallRecord) -> str:
    """The conventions' word where they have one; `passthrough` is ours."""
    return record.operation or ("generate_content" if record.dialect == "gemini" else "chat")


def call_attributes(record: CallRecord) -> Attributes:
    """Of the span that answers the caller. Tokens stand with the attempts alone: a sum over spans counts them once."""
    attributes: Attributes = {
        OPERATION: operation_of(record),
        REQUEST_MODEL: record.use_case,
        REQUEST_STREAM: record.stream,
        "pointsman.call.id": record.id,
        "pointsman.use_case": record.use_case,
        "pointsman.outcome": record.outcome,
        "pointsman.reason": record.reason,
        "pointsman.bundle": record.bundle,
        "pointsman.revision": record.revision,
        "pointsman.attempts": len(record.attempts),
        "pointsman.wasted_usd": usd_text(record.wasted_usd),
    }
    if record.cost_usd is not None:
        attributes["pointsman.cost_usd"] = usd_text(record.cost_usd)
    if record.status:
        attributes[STATUS_CODE] = record.status
    for name, text in (
        (AGENT, record.agent),
        (CONVERSATION, record.conversation),
        ("pointsman.caller", record.caller),
        ("pointsman.model", record.model),
        ("pointsman.provider", record.provider),
    ):
        if text:
            attributes[name] = text
    if record.skipped:
        attributes["pointsman.skipped"] = tuple(
            f"{item.model}@{item.provider}: {item.reason}" for item in record.skipped
        )
    if record.outcome != OK:
        attributes[ERROR] = record.outcome
    return attributes


def target_attributes(record: CallRecord, attempt: AttemptRecord, target: Target | None) -> Attributes:
    """What spans and metrics of an attempt have in common. `target` None: the rules no longer have it."""
    attributes: Attributes = {OPERATION: operation_of(record), PROVIDER: attempt.provider, REQUEST_MODEL: attempt.model}
    if target is not None:
        host, port = server_of(target.endpoint.base_url)
        attributes[PROVIDER] = provider_name(target.endpoint, attempt.provider)
        attributes |= {REQUEST_MODEL: target.name, ADDRESS: host, PORT: port}
    if attempt.outcome not in CLIENT_SIDE:
        attributes[ERROR] = attempt.outcome
    return attributes


def attempt_attributes(record: CallRecord, attempt: AttemptRecord, target: Target | None) -> Attributes:
    """Of the span of one try at one target."""
    attributes = target_attributes(record, attempt, target) | {
        REQUEST_STREAM: record.stream,
        "pointsman.model": attempt.model,
        "pointsman.provider": attempt.provider,
        "pointsman.outcome": attempt.outcome,
        "pointsman.reason": attempt.reason,
    }
    if record.facts is not None and record.facts.max_output_tokens is not None:
        attributes[REQUEST_MAX_TOKENS] = record.facts.max_output_tokens
    if attempt.status is not None:
        attributes[STATUS_CODE] = attempt.status
    if attempt.first_token_seconds is not None:
        attributes[FIRST_CHUNK] = attempt.first_token_seconds
    if attempt.cost_usd is not None:
        attributes["pointsman.cost_usd"] = usd_text(attempt.cost_usd)
    usage = attempt.usage
    if usage is not None and not attempt.estimated:
        attributes |= {INPUT_TOKENS: usage.input_tokens, OUTPUT_TOKENS: usage.output_tokens}
        further = ((CACHE_READ, usage.cache_read_tokens), (CACHE_WRITE, usage.cache_write_tokens))
        for name, tokens in (*further, (REASONING, usage.reasoning_tokens)):
            if tokens:
                attributes[name] = tokens
    return attributes


def nanoseconds(at: str) -> int:
    """Unix time of a record's `at`."""
    return round(datetime.fromisoformat(at).timestamp() * 1000) * 1_000_000
