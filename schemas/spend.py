"""What the whole fleet has spent, as the controller has it in its books: what every sidecar adds its own to."""

import msgspec

from schemas.record import Usd


class UseCaseSpend(msgspec.Struct, frozen=True):
    per_day: Usd
    per_month: Usd


class CallerSpend(msgspec.Struct, frozen=True):
    per_month: Usd


class FleetSpend(msgspec.Struct, frozen=True):
    """One reading of the ledger. What is not named in it has spent nothing."""

    day: str
    """ISO date (UTC) of `per_day`; its month is that of `per_month`."""
    at: str
    """When the ledger was read: RFC 3339, UTC. Of two readings the later one counts, in whatever order they come."""
    use_cases: dict[str, UseCaseSpend]
    callers: dict[str, CallerSpend]
    live_sidecars: int
    """How many sidecars share the fleet's limits."""
