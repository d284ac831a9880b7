"""What a running controller consists of, as `app.py` built it and as the API's handlers find it."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from controller.access.door import Door
from controller.access.people import People
from controller.canaries.steps import CanarySteps
from controller.fleet import Roster
from controller.history import History
from controller.ledger.store import Ledger
from controller.metrics import Metrics
from controller.publish import Publisher
from controller.reconcile import Reconciler
from controller.scoped import ScopedRules
from controller.stages import Stages
from controller.tokens import Tokens
from controller.tree import Source


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """Seconds."""

    ping: float = 15.0
    """Between pings on a quiet stream, give or take a fifth, so that streams do not beat in step."""
    write: float = 5.0
    """A client that takes nothing for so long is dropped."""


@dataclass(frozen=True, slots=True)
class Parts:
    source: Source
    history: History
    publisher: Publisher
    scoped: ScopedRules
    reconciler: Reconciler
    stages: Stages
    canaries: CanarySteps
    roster: Roster
    ledger: Ledger
    tokens: Tokens
    door: Door
    people: People
    metrics: Metrics
    allowed_hosts: frozenset[str]
    now: Callable[[], float]
    """Seconds since the epoch."""
    watch_times: WatchTimes = WatchTimes()
    playground: str | None = None
    """URL of the sidecar that people may send prompts to from a page; None: none."""
    hook_secret: bytes | None = None
    """What the forge signs its push events with; None: none are taken."""


PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)
