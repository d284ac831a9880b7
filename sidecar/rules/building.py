"""Bytes to rules that can run, while calls go on: in a thread that gives way to them, and out of the collector's sight.

Rules live until they are swapped, and large ones are a million objects: a full collection that walks over all of them
again and again would stop every open stream for a quarter of a second.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from schemas.bundle import BundleRefused, decode_bundle
from sidecar.routing.snapshot import Snapshot, build_snapshot

SWITCH_SECONDS: Final = 0.0005
"""How soon a thread that builds lets the event loop have its turn; Python's own 5 ms would be seen on every call."""

log = logging.getLogger("pointsman.rules")


def build(data: bytes, digest: str) -> Snapshot:
    """Raises BundleRefused, whatever goes wrong: rules that trip over a bug of ours must not take calls down."""
    with _uncollected():
        return _build(data, digest)


async def build_aside(data: bytes, digest: str) -> Snapshot:
    """The same, in a thread. Raises BundleRefused."""
    with _uncollected(), _giving_way():
        return await asyncio.to_thread(_build, data, digest)


def _build(data: bytes, digest: str) -> Snapshot:
    try:
        return build_snapshot(decode_bundle(data), digest)
    except BundleRefused:
        raise
    except Exception as error:
        log.exception("rules.crashed digest=%s", digest)
        raise BundleRefused(f"this version cannot build these rules: {type(error).__name__}: {error}") from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """What is made within is never looked at by the collector; it goes as the last one that refers to it goes."""
    gc.collect(1)  # or what is garbage already would be kept with it
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def _giving_way() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
