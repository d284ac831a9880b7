"""What each use case has spent today and this month, as this sidecar knows it. State without I/O or clock."""

from decimal import Decimal

from sidecar.routing.plan import NOTHING_SPENT, Spend


class SpendBook:
    """Days and months are UTC, as in the price list."""

    def __init__(self) -> None:
        self._day = ""
        self._by_use_case: dict[str, Spend] = {}

    def of(self, use_case: str, day: str) -> Spend:
        self._turn_to(day)
        return self._by_use_case.get(use_case, NOTHING_SPENT)

    def add(self, use_case: str, day: str, usd: Decimal) -> None:
        """`day` is that of the call's arrival: what ends after midnight is yesterday's."""
        self._turn_to(day)
        if day[:7] != self._day[:7]:
            return
        spent = self._by_use_case.get(use_case, NOTHING_SPENT)
        today = usd if day == self._day else Decimal(0)
        self._by_use_case[use_case] = Spend(spent.per_day + today, spent.per_month + usd)

    def _turn_to(self, day: str) -> None:
        if day <= self._day:
            return
        same_month = day[:7] == self._day[:7]
        self._by_use_case = (
            {name: Spend(Decimal(0), spent.per_month) for name, spent in self._by_use_case.items()}
            if same_month
            else {}
        )
        self._day = day
