"""Which of a provider's keys a call takes, and which of them rest. State without I/O: the caller brings the time.

A dead key (401) rests as a whole; one that is refused or throttled for a model (403, 429) rests for that model alone.
A provider's only key is spared what another would take over: a 403 may be about one request, and a 429 that names no
time is soon over.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas.bundle import Secret
from sidecar.dialects.retry_after import retry_after_seconds
from sidecar.errors import CredentialRefused, Throttled, UpstreamError

FIRST_REST_SECONDS = 5.0
FIRST_THROTTLE_OF_ONLY_KEY_SECONDS = 1.0
LONGEST_REST_SECONDS = 300.0
MOST_DOUBLINGS = 10
"""More would change nothing: the rest is as long as it gets."""

DEAD, NOT_FOR_THIS_MODEL, THROTTLED = 401, 403, 429
KEY_STATUSES = frozenset({DEAD, NOT_FOR_THIS_MODEL, THROTTLED})
"""Answers that another key of the same provider may not get."""

WHOLE_KEY = ""
"""In place of a model's name: the key rests for every model."""

Place = tuple[str, Secret, str]
"""Provider, where the key is found, and the model that it rests for."""


@dataclass(slots=True)
class _Rest:
    until: float
    rests: int
    status: int
    fingerprint: bytes
    """Of the key that was refused: another one in its place is worth a try at once."""


class KeyRing:
    """Keyed by provider and reference, never by the key itself, so that it outlives reloads and holds no secret."""

    def __init__(self) -> None:
        self._rests: dict[Place, _Rest] = {}
        self._turns: dict[str, int] = {}

    @property
    def is_quiet(self) -> bool:
        """No key rests, or has rested and not been heard of since."""
        return not self._rests

    def in_turn(self, provider: str, secrets: Sequence[Secret]) -> Iterator[Secret]:
        """Every key once, each call beginning with the next one."""
        turn = self._turns.get(provider, 0)
        self._turns[provider] = turn + 1
        start = turn % len(secrets)
        yield from secrets[start:]
        yield from secrets[:start]

    def is_resting(self, provider: str, secret: Secret, key: str, model: str, now: float) -> bool:
        return self._resting(provider, secret, key, model, now) is not None

    def refusal(self, provider: str, keys: Mapping[Secret, str], model: str, now: float) -> UpstreamError:
        """What a call meets when every key rests: throttled if waiting helps any of them, else refused."""
        found = [self._resting(provider, secret, key, model, now) for secret, key in keys.items()]
        rests = [rest for rest in found if rest is not None]
        throttled = [rest.until - now for rest in rests if rest.status == THROTTLED]
        if throttled:
            message = f"every key of {provider} rests after 429"
            return Throttled(message, upstream_status=THROTTLED, retry_after_seconds=min(throttled))
        return CredentialRefused(f"every key of {provider} was refused", upstream_status=rests[0].status)

    def note(
        self,
        provider: str,
        secret: Secret,
        key: str,
        model: str,
        status: int,
        headers: Mapping[str, str],
        now: float,
        *,
        is_only: bool = False,
    ) -> None:
        """Take in how a key fared. `is_only`: its provider has no other."""
        if status not in KEY_STATUSES or (is_only and status == NOT_FOR_THIS_MODEL):
            if self._rests and status < 500:
                self._rests.pop((provider, secret, WHOLE_KEY), None)
                self._rests.pop((provider, secret, model), None)
            return
        place = (provider, secret, WHOLE_KEY if status == DEAD else model)
        known, fingerprint = self._rests.get(place), _fingerprint(key)
        rests = known.rests if known is not None and known.fingerprint == fingerprint else 0
        if known is not None and rests and now < known.until:
            return  # it was in flight when the key began to rest
        asked = retry_after_seconds(headers) if status == THROTTLED else None
        first = FIRST_THROTTLE_OF_ONLY_KEY_SECONDS if is_only and status == THROTTLED else FIRST_REST_SECONDS
        seconds = first * 2.0**rests if asked is None else asked
        self._rests[place] = _Rest(
            until=now + min(LONGEST_REST_SECONDS, seconds),
            rests=min(rests + 1, MOST_DOUBLINGS),
            status=status,
            fingerprint=fingerprint,
        )

    def resting(self, now: float) -> Mapping[str, int]:
        """Provider to how many of its keys rest, wholly or for some model."""
        keys = {(provider, secret) for (provider, secret, _), rest in self._rests.items() if rest.until > now}
        counts: dict[str, int] = {}
        for provider, _ in keys:
            counts[provider] = counts.get(provider, 0) + 1
        return counts

    def _resting(self, provider: str, secret: Secret, key: str, model: str, now: float) -> _Rest | None:
        if not self._rests:
            return None
        fingerprint = _fingerprint(key)
        rests = (self._rests.get((provider, secret, scope)) for scope in (WHOLE_KEY, model))
        still = (rest for rest in rests if rest is not None and rest.until > now and rest.fingerprint == fingerprint)
        return max(still, key=lambda rest: rest.until, default=None)


def _fingerprint(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
