"""What controllers on one ledger learn from each other through it: money spent, and sidecars alive."""

from datetime import date
from decimal import Decimal
from typing import Final

from sqlalchemy import Column, Connection, case, delete, func, literal_column, select, text

from controller.ledger.database import insert_into
from controller.ledger.money import EXACT, usd_sum
from controller.ledger.spend import SpendBook
from controller.ledger.tables import controllers, daily

ALIVE_SECONDS: Final = 30.0
"""A sidecar of which no controller has heard for longer does not count."""
GONE_SECONDS: Final = 3600.0
_NOW: Final = text("SELECT extract(epoch FROM clock_timestamp())::double precision")
"""The database's clock: the controllers' own may differ."""


def read_spend(connection: Connection, book: SpendBook, today: date) -> None:
    """Everything of this month, and what is already booked of days to come; days before today as their sum."""
    month = today.isoformat()[:7]
    day = case((daily.c.day >= today.isoformat(), daily.c.day), else_=month)

    def sums_by(name: Column[str]) -> list[tuple[str, str, Decimal, Decimal]]:
        sums = (
            select(name, day, usd_sum(daily.c.cost_usd), usd_sum(daily.c.wasted_usd), usd_sum(daily.c.shadow_usd))
            .where(daily.c.day >= f"{month}-01")
            .group_by(name, literal_column("2"))
        )
        rows = connection.execute(sums)
        return [(who, on, EXACT.add(cost, wasted), shadow) for who, on, cost, wasted, shadow in rows]

    use_cases = sums_by(daily.c.use_case)
    book.replace(
        use_cases=[(who, on, usd) for who, on, usd, _ in use_cases],
        callers=[(who, on, usd) for who, on, usd, _ in sums_by(daily.c.caller)],
        shadows=[(who, on, usd) for who, on, _, usd in use_cases],
    )


def tell_and_ask_alive(connection: Connection, name: str, live_sidecars: int) -> int:
    """Says how many sidecars this controller has heard of, and gives how many the other controllers have."""
    now = connection.execute(_NOW).scalar_one()
    insert = insert_into(controllers, connection)
    told = insert.on_conflict_do_update(
        index_elements=["name"], set_={"live_sidecars": insert.excluded.live_sidecars, "seen": insert.excluded.seen}
    )
    connection.execute(told, {"name": name, "live_sidecars": live_sidecars, "seen": now})
    connection.execute(delete(controllers).where(controllers.c.seen < now - GONE_SECONDS))
    others = select(func.coalesce(func.sum(controllers.c.live_sidecars), 0)).where(
        controllers.c.name != name, controllers.c.seen >= now - ALIVE_SECONDS
    )
    return int(connection.execute(others).scalar_one())


def leave(connection: Connection, name: str) -> None:
    """This controller's sidecars turn to another one, which counts them."""
    connection.execute(delete(controllers).where(controllers.c.name == name))
