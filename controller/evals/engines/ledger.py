"""What the gateway's own ledger says of the calls that another program makes through a sidecar."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from controller.evals.run.sidecar import Sidecar
from schemas.record import CallRecord

COLLECT_EVERY: Final = 200
"""Calls; a sidecar keeps the last thousand in mind."""
MOST_LOOKS: Final = 20
PAUSE_SECONDS: Final = 0.1


class Ledger:
    """Calls under one agent's name, by the caller's own id for each."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar
        self._ids: defaultdict[str, list[str]] = defaultdict(list)
        self._records: dict[str, CallRecord] = {}
        self._bundles: dict[str, str] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._seen = 0

    @property
    def has_answers(self) -> bool:
        return self._seen > 0

    def saw(self, own_id: str, call_id: str, bundle: str | None) -> None:
        """A response's headers have arrived; its record follows when its body has."""
        self._seen += 1
        self._ids[own_id].append(call_id)
        if bundle is not None:
            self._bundles[call_id] = bundle
        if self._seen % COLLECT_EVERY == 0:
            look = asyncio.create_task(self._collect())
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def close(self) -> None:
        """Waits until the records of all calls are there, or nothing more comes."""
        for _ in range(MOST_LOOKS):
            await self._collect()
            if all(call_id in self._records for ids in self._ids.values() for call_id in ids):
                return
            await asyncio.sleep(PAUSE_SECONDS)

    def records_of(self, own_ids: Iterable[str]) -> list[CallRecord | None]:
        """Of each call its record; None where the sidecar has forgotten it."""
        return [self._records.get(call_id) for own_id in own_ids for call_id in self._ids.get(own_id, ())]

    def bundle_of(self, own_ids: Iterable[str]) -> str | None:
        """Digest of the rules in force at the last of them."""
        known = [self._bundles.get(call_id) for own_id in own_ids for call_id in self._ids.get(own_id, ())]
        return known[-1] if known else None

    def all_records(self) -> list[CallRecord]:
        return list(self._records.values())

    async def _collect(self) -> None:
        self._records |= {record.id: record for record in await self._sidecar.calls()}
