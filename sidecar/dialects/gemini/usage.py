"""Usage in Gemini's words and in ours: the same struct for the plain answer, the stream and the tap
(google-genai, `GenerateContentResponseUsageMetadata`).
"""

from decimal import Decimal

import msgspec

from schemas.record import Usage
from sidecar.dialects.service_tier import tier_of


class WireUsage(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A count of zero may be left out, as protobuf's JSON does."""

    prompt_token_count: int | None = None
    """What was read from the cache is a part of it."""
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    """Without thoughts."""
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    """What Google's own tools gave the model to read."""
    traffic_type: object = None
    """The service tier, at Vertex AI; the Gemini API says it in a header alone (`x-gemini-service-tier`)."""
    cache_write_token_count: int | None = None
    """Ours: another vendor's count of what it wrote to its cache, a part of the prompt. Gemini counts no such thing."""


def decode_usage(wire: WireUsage | None) -> Usage | None:
    """None where the provider said nothing: unknown is never zero, and a prompt never empty."""
    if wire is None or wire.prompt_token_count is None:
        return None
    thoughts = wire.thoughts_token_count or 0
    return Usage(
        input_tokens=wire.prompt_token_count + (wire.tool_use_prompt_token_count or 0),
        output_tokens=(wire.candidates_token_count or 0) + thoughts,
        cache_read_tokens=wire.cached_content_token_count or 0,
        cache_write_tokens=wire.cache_write_token_count or 0,
        reasoning_tokens=thoughts,
        service=tier_of(wire.traffic_type),
    )


class _UsageOut(msgspec.Struct, rename="camel", omit_defaults=True):
    prompt_token_count: int
    candidates_token_count: int
    total_token_count: int
    cached_content_token_count: int = 0
    thoughts_token_count: int = 0
    cache_write_token_count: int = 0
    cost_usd: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="cost_usd", default=msgspec.UNSET)


def encode_usage(usage: Usage, cost_usd: Decimal | None = None) -> msgspec.Raw:
    out = _UsageOut(
        prompt_token_count=usage.input_tokens,
        candidates_token_count=max(0, usage.output_tokens - usage.reasoning_tokens),
        total_token_count=usage.input_tokens + usage.output_tokens,
        cached_content_token_count=usage.cache_read_tokens,
        thoughts_token_count=usage.reasoning_tokens,
        cache_write_token_count=usage.cache_write_tokens,
        cost_usd=msgspec.UNSET if cost_usd is None else msgspec.Raw(encode_cost(cost_usd)),
    )
    return msgspec.Raw(msgspec.json.encode(out))


def encode_cost(cost_usd: Decimal) -> bytes:
    """A JSON number, exact and without an exponent, as in every dialect's `cost_usd`."""
    return format(cost_usd, "f").encode()
