"""A cluster's public keys (JWKS, RFC 7517): fetched when first needed, kept, fetched anew for a key not seen yet."""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp
import jwt
import msgspec

from controller import logs
from controller.access.document import Jwks

KEPT_SECONDS: Final = 600.0
"""Then they are fetched again; while that fails, those that are known go on counting."""
RETRY_SECONDS: Final = 10.0
"""At most one fetch in this time, however many tokens name unknown keys."""
FETCH_SECONDS: Final = 5.0
MAX_BYTES: Final = 1 << 20


class UnknownKey(Exception):
    """No key of this name is known, after asking as often as is allowed."""


class KeySet:
    def __init__(self, source: Jwks, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` gives seconds of a clock that never jumps."""
        self._source = source
        self._now = now
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def key(self, kid: str) -> jwt.PyJWK:
        """Raises `UnknownKey`."""
        if not self._knows(kid):
            async with self._one_at_a_time:
                if not self._knows(kid) and self._now() - self._tried >= RETRY_SECONDS:
                    self._tried = self._now()
                    await self._fetch()
        if kid not in self._keys:
            raise UnknownKey
        return self._keys[kid]

    def _knows(self, kid: str) -> bool:
        return kid in self._keys and self._now() - self._fetched < KEPT_SECONDS

    async def _fetch(self) -> None:
        try:
            keys = jwt.PyJWKSet.from_dict(msgspec.json.decode(await self._download(), type=dict)).keys
        except (aiohttp.ClientError, OSError, ValueError, jwt.PyJWTError) as error:
            logs.warn("access.keys_not_fetched", url=self._source.url, error=f"{type(error).__name__}: {error}")
            return
        self._keys = {key.key_id: key for key in keys if key.key_id}
        self._fetched = self._now()

    async def _download(self) -> bytes:
        """Raises `aiohttp.ClientError`, `OSError` (a time-out is one) or `ValueError`."""
        headers = {}
        if self._source.token is not None:
            token = await asyncio.to_thread(Path(self._source.token).read_text, encoding="ascii")
            headers["Authorization"] = f"Bearer {token.strip()}"
        context = await asyncio.to_thread(ssl.create_default_context, cafile=self._source.ca)
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(self._source.url, headers=headers, ssl=context, allow_redirects=False) as response,
        ):
            data = await response.content.read(MAX_BYTES + 1)
            while len(data) <= MAX_BYTES and (more := await response.content.read(MAX_BYTES)):
                data += more
            if len(data) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            return data
