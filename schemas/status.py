"""What a sidecar tells the controller about itself, and what the controller tells of the fleet."""

from typing import Literal

import msgspec

SidecarState = Literal["ACTIVE", "REJECTED", "STARTING"]


class Activation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tried, fetched and activated are three things: each has its own line and its own time."""

    digest: str = ""
    revision: str = ""
    at: str = ""
    """RFC 3339, UTC; empty when it never happened."""


class SidecarStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of `POST /v1/status` and the answer of `/status` on the admin port."""

    id: str
    """Stable over restarts of one sidecar's state folder."""
    version: str
    state: SidecarState
    use_case: str = ""
    agent: str = ""
    source: str = ""
    """Where rules come from: a URL without credentials, or a path."""
    seq: int = 0
    tried: Activation = Activation()
    fetched: Activation = Activation()
    active: Activation = Activation()
    error: str = ""
    """Why the newest bundle is not the active one; at most 1 KiB."""
    spooled_records: int = 0
    """Records on disk that the controller has not yet acknowledged."""
    started_at: str = ""
    quality_fallen: tuple[str, ...] = ()
    """`<use case>: <model>`: models that give way now for the quality of their answers."""


FleetState = Literal["SYNCED", "BEHIND", "REJECTED", "OFFLINE"]


class FleetMember(msgspec.Struct, frozen=True):
    """One row of `GET /v1/fleet`."""

    id: str
    use_case: str
    state: FleetState
    bundle: str
    revision: str
    last_seen: str
    error: str


class Fleet(msgspec.Struct, frozen=True):
    """The answer of `GET /v1/fleet`."""

    sidecars: tuple[FleetMember, ...]
