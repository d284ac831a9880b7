"""`pointsman.yaml`: the platform team's file. `schema: 1` alone is valid."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from schemas.rules.base import Amount, Duration, Glob, Limits, Name, Retry, Rules, Timeouts, WhenAway, text_like


def _growing_to_all(stages: tuple[int, ...]) -> tuple[int, ...]:
    if stages[-1] != 100 or any(later <= earlier for earlier, later in pairwise(stages)):
        raise PydanticCustomError("bad-stages", "stages grow and end with 100, as [1, 10, 50, 100]")
    return stages


_HASH = r"^sha256:[0-9a-f]{64}$"
HashedKey = Annotated[
    str,
    StringConstraints(pattern=_HASH),
    text_like(_HASH, "a hashed key: sha256: and 64 hexadecimal digits", writeOnly=True),
]
Stages = Annotated[
    tuple[Annotated[int, Field(ge=1, le=100)], ...], Field(min_length=1), AfterValidator(_growing_to_all)
]


class Defaults(Rules):
    """What holds for every use case that does not say otherwise."""

    timeouts: Timeouts = Timeouts()
    """How long each part of a call may take."""
    retry: Retry = Retry()
    """How often to try."""


class UrgentRollout(Rules):
    """How a revision that is marked urgent reaches the fleet."""

    stages: Stages = (5, 100)
    """Percent of the sidecars, growing to 100."""
    bake: Duration = 60.0
    """How long each stage is watched."""


class Rollout(Rules):
    """How a new revision reaches the fleet."""

    stages: Stages = (1, 10, 50, 100)
    """Percent of the sidecars, growing to 100; `[100]` is all at once."""
    bake: Duration = 120.0
    """How long each stage is watched before the next."""
    urgent: UrgentRollout = UrgentRollout()
    """For a revision that cannot wait: its commit message has the trailer `Rollout: urgent`."""
    min_sidecars: Annotated[int, Field(ge=2)] = 20
    """With fewer sidecars connected, a revision goes to all at once."""
    min_calls: Annotated[int, Field(ge=30)] = 200
    """Calls that each use case must have had on both sides before a stage counts as passed."""


class Grant(Rules):
    """What a team's use cases may use."""

    models: tuple[Glob, ...] = ()
    """Models, as globs; left out: all."""
    per_month: Amount | None = None
    """The most that the team's ceilings may add up to in a month, in US dollars."""
    regions: tuple[Name, ...] = ()
    """Regions in which the team's data may be processed; left out: all."""


class Caller(Rules):
    """Who may call a sidecar, and as what."""

    name: Name
    """The caller's name, in records and in `when`."""
    key: HashedKey
    """`sha256:` and the hex SHA-256 of the key; the key itself never stands here."""
    use_cases: tuple[Name, ...] = ()
    """Use cases that it may call; left out: all."""
    default_use_case: Name | None = None
    """What its calls count as when they do not say."""
    limits: Limits | None = None
    """What it may send."""
    per_month: Amount | None = None
    """The most that it may spend in a calendar month (UTC), in US dollars; beyond it its calls are refused."""
    on_store_error: WhenAway = "local_share"
    """Of `per_month`, while what the fleet has spent cannot be known: its share of the rest, everything, or nothing."""
    pin: bool = False
    """May name the target itself (eval runs, debugging)."""


class Platform(Rules):
    """The platform team's file: defaults, rollout policy, owners, grants and callers."""

    version: Annotated[Literal[1], Field(alias="schema")]
    """Version of the rule files' form: 1."""
    defaults: Defaults = Defaults()
    """What holds for every use case that does not say otherwise."""
    rollout: Rollout = Rollout()
    """How a new revision reaches the fleet."""
    owners: Mapping[Name, tuple[Glob, ...]] = {}
    """Team to the files that it owns, as globs."""
    grants: Mapping[Name, Grant] = {}
    """Team to what its use cases may use."""
    callers: tuple[Caller, ...] = ()
    """Who may call a sidecar; left out: whoever reaches its loopback."""
