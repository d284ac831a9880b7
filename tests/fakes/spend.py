"""Reports of what the fleet has spent, and records of calls that cost something."""

from decimal import Decimal

from schemas.record import CallRecord
from schemas.spend import CallerSpend, FleetSpend, UseCaseSpend

DAY = "2026-11-25"


def report(
    usd: str = "0", *, at: str = "2026-11-25T12:00:00Z", day: str = DAY, live: int = 1, caller: str = "0"
) -> FleetSpend:
    """`usd`: of the use case `chat`, today and this month."""
    spent = UseCaseSpend(Decimal(usd), Decimal(usd))
    return FleetSpend(day, at, {"chat": spent}, {"bot": CallerSpend(Decimal(caller))}, live)


def record(
    call_id: str = "1", usd: str | None = "1", *, day: str = DAY, use_case: str = "chat", caller: str = "bot",
    wasted: str = "0",
) -> CallRecord:  # fmt: skip
    return CallRecord(
        id=call_id, at=f"{day}T12:00:00.000Z", sidecar="one", use_case=use_case, dialect="openai", outcome="ok",
        bundle="", caller=caller, cost_usd=None if usd is None else Decimal(usd), wasted_usd=Decimal(wasted),
    )  # fmt: skip


class Verdicts:
    """A `LimitObserver` that keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def limited(self, rule: str, verdict: str) -> None:
        self.all.append((rule, verdict))

    def count(self, verdict: str) -> int:
        return sum(1 for _, said in self.all if said == verdict)
