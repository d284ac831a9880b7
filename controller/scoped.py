"""What runs, as each scope sees it: the part that it needs, under a pointer of its own with the sequence of all."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeVar

import msgspec

from controller.publish import Publication, Publisher, publication_of
from controller.sign import Signer
from schemas.bundle import Bundle, Pointer, decode_bundle, digest_of, encode_bundle
from schemas.scope import WHOLE, Scope, holds, part_of
from schemas.spend import FleetSpend
from schemas.status import Activation, SidecarStatus

KEPT_PARTS: Final = 1024
KEPT_NAMES: Final = 65_536
KEPT_WHOLE: Final = 4
"""Decoded: of the bundles whose parts are asked for, mostly one, and on a trial two."""

Value = TypeVar("Value")


class ScopedRules:
    """Nothing here is kept over a restart: a part follows from its bundle and its scope alone."""

    def __init__(self, publisher: Publisher, signer: Signer) -> None:
        self._publisher = publisher
        self._signer = signer
        self._decoded = lru_cache(KEPT_WHOLE)(self._decode)
        self._part = lru_cache(KEPT_PARTS)(self._cut)
        self._wholes: dict[str, str] = {}
        """Digest of a part → digest of its whole: of all that were made, however long ago."""
        self._views: dict[tuple[Scope, bool], Publication] = {}
        self._views_of: Publication | None = None

    def seen_by(self, publication: Publication, scope: Scope, *, knows_steering: bool = True) -> Publication:
        """`knows_steering`: to a sidecar that does not, the pointer's `steering` would be a reason to refuse it."""
        is_told_all = knows_steering or not publication.pointer.steering
        if scope == WHOLE and is_told_all:
            return publication
        if self._views_of is not publication or len(self._views) > KEPT_PARTS:
            self._views, self._views_of = {}, publication
        seen_as = (scope, is_told_all)
        if seen_as not in self._views:
            self._views[seen_as] = self._seen_by(publication, scope, is_told_all)
        return self._views[seen_as]

    def bundle(self, digest: str, scope: Scope) -> bytes | None:
        """The bytes of a recent bundle, if this scope may see it: of the whole scope any, of others their own parts."""
        if scope == WHOLE:
            return self._publisher.bundle(digest)
        self._make_parts(scope)
        whole = self._wholes.get(digest)
        if whole is None or self._publisher.bundle(whole) is None:
            return None
        part = self._part(whole, scope)
        return part if digest_of(part) == digest else None

    def told_as_one(self, status: SidecarStatus, scope: Scope) -> SidecarStatus:
        """A status by the digests of whole bundles, so that the fleet is compared by revisions and not by scopes."""
        if scope == WHOLE:
            return status
        self._make_parts(scope)

        def of(activation: Activation) -> Activation:
            return msgspec.structs.replace(activation, digest=self._wholes.get(activation.digest, activation.digest))

        return msgspec.structs.replace(
            status, tried=of(status.tried), fetched=of(status.fetched), active=of(status.active)
        )

    def spend(self, spend: FleetSpend, scope: Scope) -> FleetSpend:
        """Money of the scope's own use cases and callers; how many sidecars share the limits is told of all."""
        if scope == WHOLE:
            return spend
        callers: set[str] = set()
        for digest in self._running():
            callers |= {caller.name for caller in part_of(self._decoded(digest), digest, scope).callers}
        return msgspec.structs.replace(
            spend,
            use_cases=_only(spend.use_cases, {name for name in spend.use_cases if holds(scope, name)}),
            callers=_only(spend.callers, callers),
        )

    def _seen_by(self, publication: Publication, scope: Scope, is_told_all: bool) -> Publication:
        part = publication.bundle if scope == WHOLE else self._part(publication.pointer.digest, scope)
        trial = publication.pointer.rollout
        if trial is not None and scope != WHOLE:
            on_trial = self._part(trial.digest, scope)
            # The salt stays: who tries the revision is drawn over the whole fleet.
            trial = msgspec.structs.replace(trial, digest=digest_of(on_trial), size=len(on_trial))
        seen = {name for name in publication.pointer.steering if is_told_all and holds(scope, name)}
        pointer: Pointer = msgspec.structs.replace(
            publication.pointer, digest=digest_of(part), size=len(part), rollout=trial,
            steering=_only(publication.pointer.steering, seen),
        )  # fmt: skip
        signed = self._signer.sign(msgspec.json.encode(pointer).decode())
        seen_as = scope if is_told_all else (*scope, "")
        return publication_of(pointer, signed, part, scope=digest_of("\n".join(seen_as).encode())[7:19])

    def _running(self) -> list[str]:
        channel = self._publisher.channel
        named = (channel.running, None if channel.trial is None else channel.trial.bundle)
        return [bundle.digest for bundle in named if bundle is not None]

    def _make_parts(self, scope: Scope) -> None:
        """Of what runs: after a restart, sidecars speak of parts that were made before it."""
        for digest in self._running():
            self._part(digest, scope)

    def _cut(self, digest: str, scope: Scope) -> bytes:
        part = encode_bundle(part_of(self._decoded(digest), digest, scope))
        if len(self._wholes) >= KEPT_NAMES:
            self._wholes.clear()
        self._wholes[digest_of(part)] = digest
        return part

    def _decode(self, digest: str) -> Bundle:
        data = self._publisher.bundle(digest)
        assert data is not None  # the publisher keeps what its channel names
        return decode_bundle(data)


def _only(figures: Mapping[str, Value], names: set[str]) -> dict[str, Value]:
    return {name: value for name, value in figures.items() if name in names}
