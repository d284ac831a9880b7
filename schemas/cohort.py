"""Which sidecars try a bundle first: each draws a lot from the trial's salt and its own id. Pure."""

import hashlib

import msgspec

from schemas.bundle import Pointer

LOTS = 10_000


def lot_of(salt: str, sidecar: str) -> int:
    """From 0 to 9,999; the same wherever it is drawn, and another for another salt."""
    return int.from_bytes(hashlib.sha256(f"{salt}|{sidecar}".encode()).digest()[:8]) % LOTS


def pointer_for(pointer: Pointer, sidecar: str) -> Pointer:
    """The pointer as one sidecar reads it: what it shall run, without the trial."""
    trial = pointer.rollout
    if trial is None:
        return pointer
    stable = msgspec.structs.replace(pointer, rollout=None)
    if lot_of(trial.salt, sidecar) >= round(trial.percent * LOTS / 100):
        return stable
    return msgspec.structs.replace(stable, digest=trial.digest, size=trial.size, revision=trial.revision)
