"""Who is asked first where a canary or a split has a say: by lot, but without chance. The same conversation draws the
same lot in every sidecar, at every call and under every revision.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from sidecar.routing.snapshot import Arm, Chain, Shadow

LOTS = 1 << 64


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where the lot of a conversation fell."""

    arm: Arm | None
    """None: the chain as it is written."""
    reason: str
    """`canary` or `split`; empty without an arm."""
    propensity: float
    """How likely it was to fall there."""
    steering: str = ""
    """Why the canary had the share that it had in this draw, where a controller decided that."""


def draw(use_case: str, chain: Chain, conversation: str, open_arms: Collection[Arm]) -> Drawn:
    """The canary draws first, the split then among those that it left, each with a lot of its own: neither disturbs the
    other's comparison. A larger share takes conversations in and moves no others between the models that were there.

    Args:
        conversation: its key.
        open_arms: those that can take this call. The share of any other stays with the chain.
    """
    left = Decimal(1)
    canary = chain.canary
    steering = chain.steering if canary is None or canary in open_arms else ""
    if canary is not None and canary in open_arms:
        if _lot(f"{use_case}/canary/{canary.model}", conversation) < canary.probability * LOTS:
            return Drawn(canary, "canary", float(canary.probability), steering)
        left -= canary.probability
    lot = _lot(f"{use_case}/split", conversation)
    reached, taken = Decimal(0), Decimal(0)
    for arm in chain.split:
        is_hit = reached * LOTS <= lot < (reached + arm.probability) * LOTS
        reached += arm.probability
        if arm not in open_arms:
            continue
        if is_hit:
            return Drawn(arm, "split", float(left * arm.probability), steering)
        taken += arm.probability
    return Drawn(None, "", float(left * (1 - taken)), steering)


def is_mirrored(use_case: str, shadow: Shadow, call_id: str) -> bool:
    """By the call's id: a larger share takes calls in and leaves none out that were there."""
    return _lot(f"{use_case}/shadow/{shadow.model}", call_id) < shadow.probability * LOTS


def _lot(salt: str, conversation: str) -> int:
    """From 0 up to `LOTS`, evenly. The salt keeps one experiment's lots from being another's."""
    return int.from_bytes(hashlib.blake2b(f"{salt}\0{conversation}".encode(), digest_size=8).digest())
