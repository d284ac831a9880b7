"""What the fleet has spent, as the ledger knows it: what sidecars hold their ceilings against."""

from decimal import Decimal

import msgspec


class UseCaseSpend(msgspec.Struct, frozen=True):
    per_day: Decimal
    """US dollars so far on that day, UTC: cost of answers and of attempts that gave none."""
    per_month: Decimal
    """US dollars so far in that day's month, UTC."""
    shadow_per_day: Decimal = Decimal(0)
    """US dollars so far on that day for answers of its shadow, which are in neither of the others."""


class CallerSpend(msgspec.Struct, frozen=True):
    per_month: Decimal
    """US dollars so far in that day's month, UTC."""


class FleetSpend(msgspec.Struct, frozen=True):
    """The answer of `GET /v1/spend`, and a part of every `UsageReceipt`: all that is booked by then, nothing else."""

    day: str
    """UTC."""
    at: str
    """When the controller said so: RFC 3339, UTC. Of two the later one counts, in whatever order they come."""
    use_cases: dict[str, UseCaseSpend]
    """Those that have spent something this month; who is not named has spent nothing."""
    callers: dict[str, CallerSpend]
    live_sidecars: int
    """Sidecars that some controller of this ledger has heard of within 30 s."""
