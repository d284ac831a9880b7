"""Records of calls, as the spool is given them."""

from decimal import Decimal

from schemas.record import AttemptRecord, CallRecord, Usage


def record(call_id: str, outcome: str = "ok", **more: object) -> CallRecord:
    """Tokens and money are those of one cheap call."""
    usage = Usage(input_tokens=10, output_tokens=2)
    attempt = AttemptRecord(
        model="alpha",
        provider="one",
        reason="primary",
        outcome=outcome,
        seconds=0.5,
        usage=usage,
        cost_usd=Decimal("0.1"),
    )
    fields: dict[str, object] = {
        "id": call_id,
        "at": "2026-11-01T12:00:00.000Z",
        "sidecar": "s-1",
        "use_case": "chat",
        "dialect": "openai",
        "outcome": outcome,
        "bundle": "sha256:00",
        "model": "alpha",
        "provider": "one",
        "attempts": (attempt,),
        "usage": usage,
        "cost_usd": Decimal("0.1"),
    }
    return CallRecord(**{**fields, **more})  # type: ignore[arg-type]


def begun(call_id: str) -> CallRecord:
    return record(call_id, "unknown_outcome", estimated=True)
