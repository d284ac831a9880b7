"""Usage in the words of the Responses API and in ours: the same for the plain answer, the stream and the tap."""

from decimal import Decimal

import msgspec

from schemas.record import Usage
from sidecar.dialects.cost import encode_cost
from sidecar.dialects.service_tier import tier_of


class InputDetails(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


def decode_usage(wire: WireUsage | None, service_tier: object) -> Usage | None:
    """None where the provider said nothing: unknown is never zero. The tier stands beside the usage, not in it."""
    if wire is None or (wire.input_tokens is None and wire.output_tokens is None):
        return None
    read = wire.input_tokens_details or InputDetails()
    written = wire.output_tokens_details or OutputDetails()
    return Usage(
        input_tokens=wire.input_tokens or 0,
        output_tokens=wire.output_tokens or 0,
        cache_read_tokens=read.cached_tokens or 0,
        cache_write_tokens=read.cache_write_tokens or 0,
        reasoning_tokens=written.reasoning_tokens or 0,
        service=tier_of(service_tier),
    )


class _InputDetailsOut(msgspec.Struct, frozen=True):
    cached_tokens: int
    cache_write_tokens: int


class _OutputDetailsOut(msgspec.Struct, frozen=True):
    reasoning_tokens: int


class UsageOut(msgspec.Struct, frozen=True, omit_defaults=True):
    input_tokens: int
    input_tokens_details: _InputDetailsOut
    output_tokens: int
    output_tokens_details: _OutputDetailsOut
    total_tokens: int
    cost_usd: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def encode_usage(usage: Usage | None, cost_usd: Decimal | None = None) -> UsageOut | None:
    """Cached tokens are a part of `input_tokens`, here as in our books."""
    if usage is None:
        return None
    return UsageOut(
        input_tokens=usage.input_tokens,
        input_tokens_details=_InputDetailsOut(usage.cache_read_tokens, usage.cache_write_tokens),
        output_tokens=usage.output_tokens,
        output_tokens_details=_OutputDetailsOut(usage.reasoning_tokens),
        total_tokens=usage.input_tokens + usage.output_tokens,
        cost_usd=msgspec.UNSET if cost_usd is None else msgspec.Raw(encode_cost(cost_usd)),
    )
