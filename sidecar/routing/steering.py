"""A snapshot with what a controller decided of canaries since its rules were written. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from schemas.bundle import Steered
from sidecar.routing.snapshot import Chain, Snapshot


def steered(snapshot: Snapshot, steering: Mapping[str, Steered]) -> Snapshot:
    """What is meant for another canary, or is no percentage, changes nothing."""
    changed = {
        name: replace(use_case, chain=chain)
        for name, by in steering.items()
        if (use_case := snapshot.use_cases.get(name)) is not None
        if (chain := _steered(use_case.chain, by)) is not None
    }
    return replace(snapshot, use_cases={**snapshot.use_cases, **changed}) if changed else snapshot


def _steered(chain: Chain, by: Steered) -> Chain | None:
    canary = chain.canary
    percent = by.canary_percent
    if canary is None or canary.model != by.model or not percent.is_finite() or not 0 <= percent <= 100:
        return None
    if not percent:
        return replace(chain, canary=None, steering=by.reason, taken_back=by.model)
    return replace(chain, canary=replace(canary, probability=percent / 100), steering=by.reason)
