"""The limits of one scope as rules, each with the name that messages, records and metrics know it by."""

from dataclasses import dataclass, field
from typing import Literal

from schemas.bundle import Limits, WhenAway

Scope = Literal["provider", "model", "use_case", "caller"]
Kind = Literal["requests_per_minute", "tokens_per_minute", "concurrency"]
TOKENS: Kind = "tokens_per_minute"
Verdict = Literal["allowed", "refused", "shadow_refused", "store_error"]


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One limit. Equal over reloads while nobody edits it."""

    scope: Scope
    name: str
    kind: Kind
    limit: int
    """Over the whole fleet: per minute, or at the same time."""
    is_enforced: bool
    when_away: WhenAway
    id: str = field(init=False, compare=False)
    """Stable over reloads; what is counted lives under it: `limit.use_case.chat.requests_per_minute`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"limit.{self.scope}.{self.name}.{self.kind}")

    @property
    def reason(self) -> str:
        """Without the name, as plans and records say it: `limit.provider.requests_per_minute`."""
        return f"limit.{self.scope}.{self.kind}"


def rules_of(scope: Scope, name: str, limits: Limits) -> dict[Kind, LimitRule]:
    amounts: dict[Kind, int | None] = {
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "concurrency": limits.concurrency,
    }
    return {
        kind: LimitRule(scope, name, kind, limit, limits.enforce, limits.on_store_error)
        for kind, limit in amounts.items()
        if limit is not None
    }


@dataclass(frozen=True, slots=True)
class Refusal:
    """A limit that is reached."""

    rule: LimitRule
    wait_seconds: float
    """Until the same would pass if nothing else came; infinite where it never would."""
