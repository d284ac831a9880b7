"""The upstream: a target's place, credentials and keys around a request. How bytes travel is an HTTP client's."""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence

from schemas.bundle import Secret
from sidecar.clock import SYSTEM_CLOCK
from sidecar.errors import Unreachable
from sidecar.http1.place import Place, place_of
from sidecar.ports import Clock, UpstreamAnswer
from sidecar.providers.client import HttpClient
from sidecar.providers.credentials import Credentials
from sidecar.providers.endpoints import request_headers, take_key
from sidecar.providers.identities import Identities
from sidecar.providers.keys import DEAD, KEY_STATUSES, NOT_FOR_THIS_MODEL, KeyRing
from sidecar.providers.layouts import placed
from sidecar.routing.snapshot import Target


def _place(target: Target, path: str) -> Place:
    """Raises Unreachable: its URL names no host."""
    try:
        return place_of(target.endpoint.base_url + path)
    except ValueError as error:
        raise Unreachable(f"{target.provider} cannot be reached: {type(error).__name__}") from error


class HttpUpstream:
    """One client, one pool, for the life of the process: connections outlive reloads."""

    def __init__(self, credentials: Credentials, client: HttpClient, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._credentials = credentials
        self._client = client
        self._clock = clock
        self._ring = KeyRing()
        self._identities = Identities(clock)

    async def send(
        self, target: Target, path: str, headers: Mapping[str, str], body: bytes, connect_seconds: float
    ) -> UpstreamAnswer:
        put = placed(target, path, {**target.endpoint.headers, **headers}, body)
        place = _place(target, put.path)
        answer = await self._send(target, "POST", place, dict(put.headers), put.body, connect_seconds)
        return answer if put.read is None else put.read(answer)

    async def relay(
        self,
        target: Target,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> UpstreamAnswer:
        plain = {**target.endpoint.headers, **headers}
        return await self._send(target, method, _place(target, path), plain, body, connect_seconds)

    async def _send(
        self,
        target: Target,
        method: str,
        place: Place,
        plain: dict[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> UpstreamAnswer:
        endpoint = target.endpoint

        async def ask(shown: Mapping[str, str]) -> UpstreamAnswer:
            return await self._client.request(target.provider, method, place, shown, body, connect_seconds)

        async def ask_with(key: str) -> UpstreamAnswer:
            return await ask(request_headers(endpoint, plain, key))

        if keys := endpoint.keys:
            # What streams is sent once: no second key can follow a refused one.
            return await self._ask_in_turn(target, keys, ask_with, is_held=isinstance(body, bytes))
        if endpoint.caller_key:
            return await ask_with(take_key(plain))
        bare = request_headers(endpoint, plain, None)
        if endpoint.identity is None:
            return await ask(bare)
        held = body if isinstance(body, bytes) else b""
        proof = await self._identities.proof(endpoint.identity, method, place.url, bare, held)
        answer = await ask({**bare, **proof})
        if answer.status in (DEAD, NOT_FOR_THIS_MODEL):
            self._identities.note_refusal(endpoint.identity)
        return answer

    async def _ask_in_turn(
        self,
        target: Target,
        secrets: Sequence[Secret],
        ask: Callable[[str], Awaitable[UpstreamAnswer]],
        *,
        is_held: bool,
    ) -> UpstreamAnswer:
        """The first key that is not refused or throttled; each is asked at most once, and the last answer stands.

        Args:
            is_held: the body can be sent again; otherwise one key is asked.
        """
        if len(secrets) == 1 and self._ring.is_quiet:
            return await self._ask_with_only(target, secrets[0], ask)
        keys = self._credentials.read_those_there(secrets)
        provider, model, now = target.provider, target.name, self._clock.monotonic()
        answer: UpstreamAnswer | None = None
        for secret in self._ring.in_turn(provider, tuple(keys)):
            key = keys[secret]
            if self._ring.is_resting(provider, secret, key, model, now):
                continue
            if answer is not None:
                answer.close()
            answer = await ask(key)
            moment, is_only = self._clock.monotonic(), len(secrets) == 1
            self._ring.note(provider, secret, key, model, answer.status, answer.headers, moment, is_only=is_only)
            if answer.status not in KEY_STATUSES or not is_held:
                break
        if answer is None:
            raise self._ring.refusal(provider, keys, model, now)
        return answer

    async def _ask_with_only(
        self, target: Target, secret: Secret, ask: Callable[[str], Awaitable[UpstreamAnswer]]
    ) -> UpstreamAnswer:
        """With a provider's one key, while no key of any provider rests: nearly always."""
        key = self._credentials.read(secret)
        answer = await ask(key)
        if answer.status in KEY_STATUSES or not self._ring.is_quiet:
            moment, provider = self._clock.monotonic(), target.provider
            self._ring.note(provider, secret, key, target.name, answer.status, answer.headers, moment, is_only=True)
        return answer

    def keys_resting(self) -> Mapping[str, int]:
        """Provider to how many of its keys rest."""
        return self._ring.resting(self._clock.monotonic())

    async def close(self) -> None:
        await self._client.close()
