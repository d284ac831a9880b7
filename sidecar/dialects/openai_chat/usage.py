"""Usage in OpenAI's words and in ours: the same struct for the plain answer, the stream and the tap."""

from decimal import Decimal

import msgspec

from schemas.record import Usage
from sidecar.dialects.cost import encode_cost
from sidecar.dialects.service_tier import tier_of


class PromptDetails(msgspec.Struct, omit_defaults=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct, omit_defaults=True):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's own word for cached tokens; a part of `prompt_tokens` too."""


def decode_usage(wire: WireUsage | None, service_tier: object) -> Usage | None:
    """None where the provider said nothing: unknown is never zero. The tier stands beside the usage, not in it."""
    if wire is None or (wire.prompt_tokens is None and wire.completion_tokens is None):
        return None
    prompt = wire.prompt_tokens or 0
    completion = wire.completion_tokens or 0
    details = wire.prompt_tokens_details or PromptDetails()
    reasoning = (wire.completion_tokens_details or CompletionDetails()).reasoning_tokens or 0
    # OpenAI counts reasoning inside completion_tokens. Where the total only adds up with it on top, it was outside.
    if reasoning and wire.total_tokens == prompt + completion + reasoning:
        completion += reasoning
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_tokens=details.cached_tokens or wire.prompt_cache_hit_tokens or 0,
        cache_write_tokens=details.cache_write_tokens or 0,
        reasoning_tokens=reasoning,
        service=tier_of(service_tier),
    )


class _PromptDetailsOut(msgspec.Struct, omit_defaults=True):
    cached_tokens: int
    cache_write_tokens: int = 0


class _CompletionDetailsOut(msgspec.Struct):
    reasoning_tokens: int


class _UsageOut(msgspec.Struct, omit_defaults=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PromptDetailsOut
    completion_tokens_details: _CompletionDetailsOut
    cost_usd: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def encode_usage(usage: Usage, cost_usd: Decimal | None = None) -> bytes:
    """A usage object in OpenAI's words: cached tokens are a part of `prompt_tokens`."""
    return msgspec.json.encode(
        _UsageOut(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
            prompt_tokens_details=_PromptDetailsOut(
                cached_tokens=usage.cache_read_tokens, cache_write_tokens=usage.cache_write_tokens
            ),
            completion_tokens_details=_CompletionDetailsOut(reasoning_tokens=usage.reasoning_tokens),
            cost_usd=msgspec.UNSET if cost_usd is None else msgspec.Raw(encode_cost(cost_usd)),
        )
    )
