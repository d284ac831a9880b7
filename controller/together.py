"""What several controllers of one database do for each other: each takes up what another has published, and tells whom
it hears of.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from controller import logs
from controller.channel import Channel
from controller.errors import ForeignKey, LedgerUnavailable
from controller.fleet import Roster
from controller.ledger.sharing import exchange, forget
from controller.ledger.store import Ledger
from controller.publish import Publisher

FOLLOW_SECONDS: Final = 0.4
"""Asking for one row by its key costs a database next to nothing, and unlike LISTEN it works through every pooler."""
EXCHANGE_SECONDS: Final = 1.0
FORGET_EVERY_SECONDS: Final = 60.0


async def follow(publisher: Publisher, look_again: Callable[[], None]) -> None:
    """Never returns by itself; while the database is away, what was last known is served on.

    Args:
        look_again: called when a pin or a suspension that another controller's act had set is gone.

    Raises:
        ForeignKey: what runs was signed by another key, as is found where the database was away at the start.
    """
    while True:
        before = publisher.channel
        try:
            await publisher.catch_up()
        except LedgerUnavailable:
            pass  # the ledger has said so
        except ForeignKey:
            if not publisher.is_restored:
                raise
        except Exception as bug:
            logs.bug("follow.failed", bug)
        if _is_held(before) and not _is_held(publisher.channel):
            look_again()
        await asyncio.sleep(FOLLOW_SECONDS)


def _is_held(channel: Channel) -> bool:
    return channel.pin is not None or channel.suspended is not None


async def share_roster(roster: Roster, ledger: Ledger, now: Callable[[], float]) -> None:
    """Never returns by itself; while the database is away, what is to be told waits. `now`: since the epoch."""
    since, forgotten = 0.0, float("-inf")
    while True:
        told = roster.untold()
        try:
            since, heard = await asyncio.to_thread(ledger.write, partial(exchange, told=told, since=since, now=now))
            roster.hear_of(heard)
            if time.monotonic() - forgotten >= FORGET_EVERY_SECONDS:
                forgotten = time.monotonic()
                await asyncio.to_thread(ledger.write, forget)
        except LedgerUnavailable:
            roster.not_told(told)
        except Exception as bug:
            logs.bug("fleet.not_shared", bug)
        await asyncio.sleep(EXCHANGE_SECONDS)
