"""The controller as a sidecar sees it: watch, fetch, report, and hand over records. Failures become `UplinkFailed`."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from schemas.bundle import KNOWS_STEERING, MAX_BUNDLE_BYTES, SignedPointer
from schemas.record import UsageReceipt
from schemas.spend import FleetSpend
from schemas.status import SidecarStatus
from sidecar.sse import EventTooLong, SseDecoder
from sidecar.uplink_tls import TlsFiles, UplinkTls

SILENCE_SECONDS = 45.0
"""The controller pings every 15 s; three missed pings mean a dead connection."""
ANSWER_SECONDS = 10.0

_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding an answer raises, whoever wrote it."""


class UplinkFailed(Exception):
    """The controller did not answer as it should. The message names no token."""


class UplinkRefused(UplinkFailed):
    """The controller will not take this body, however often it is sent."""


REFUSALS = frozenset({400, 413, 422})
NONE_MORE: Mapping[str, str] = {}
SYSTEM_TLS = TlsFiles()


class Uplink:
    """One controller.

    What the first line of `token_file` holds by then is sent as `Authorization: Bearer`: tokens are rotated.
    """

    def __init__(
        self,
        url: str,
        sidecar: str,
        token_file: Path | None,
        *,
        serves: Sequence[str] = (),
        tls: TlsFiles = SYSTEM_TLS,
        trust_env: bool = False,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """`serves` are the use cases that this sidecar asks to see; none: all that it may."""
        self.url = url.rstrip("/")
        self._sidecar = sidecar
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=3.0),
            trust_env=trust_env,
        )
        self._etag = ""
        self._silence_seconds = silence_seconds
        self._token_file = token_file
        self._tls = UplinkTls(tls)
        self._scope = [("use_case", name) for name in serves]

    @property
    def is_loopback(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        return host in ("127.0.0.1", "::1", "localhost")

    async def watch(self) -> AsyncIterator[SignedPointer]:
        """Every pointer as it is published, the current one first. Ends only by raising."""
        decoder = SseDecoder()
        patience = aiohttp.ClientTimeout(total=None, connect=3.0, sock_read=self._silence_seconds)
        try:
            async with self._session.get(
                f"{self.url}/v1/watch",
                params=[("id", self._sidecar), KNOWS_STEERING, *self._scope],
                headers=self._headers(),
                timeout=patience,
                ssl=self._tls.context(),
            ) as response:
                await _expect_ok(response)
                async for data, _ in response.content.iter_chunks():
                    for event in decoder.feed(data):
                        if event.event == "pointer":
                            yield msgspec.json.decode(event.data, type=SignedPointer)
        except (aiohttp.ClientError, OSError, EventTooLong, *_UNREADABLE) as error:
            raise UplinkFailed(f"watching {self.url}: {_plainly(error)}") from error
        raise UplinkFailed(f"watching {self.url}: the stream ended")

    async def poll(self) -> SignedPointer | None:
        """The current pointer, or None when it is the one seen last."""
        try:
            headers = self._headers({"if-none-match": self._etag} if self._etag else {})
            async with self._session.get(
                f"{self.url}/v1/bundle",
                params=[KNOWS_STEERING, *self._scope],
                headers=headers,
                ssl=self._tls.context(),
            ) as response:
                if response.status == 304:
                    return None
                await _expect_ok(response)
                pointer = msgspec.json.decode(await _whole(response), type=SignedPointer)
                self._etag = response.headers.get("etag", "")
                return pointer
        except (aiohttp.ClientError, OSError, *_UNREADABLE) as error:
            raise UplinkFailed(f"asking {self.url} for rules: {_plainly(error)}") from error

    async def bundle(self, digest: str) -> bytes:
        """Of what is too large to be a bundle only the beginning, which is none."""
        try:
            url = f"{self.url}/v1/bundle/{quote(digest, safe=':')}"
            async with self._session.get(
                url, params=self._scope, headers=self._headers(), ssl=self._tls.context()
            ) as response:
                await _expect_ok(response)
                return await _beginning(response)
        except (aiohttp.ClientError, OSError) as error:
            raise UplinkFailed(f"fetching {digest} from {self.url}: {_plainly(error)}") from error

    async def report(self, status: SidecarStatus) -> None:
        await self._post("/v1/status", msgspec.json.encode(status))

    async def ship(self, records: Sequence[bytes], feedback: Sequence[bytes] = ()) -> UsageReceipt:
        """Records and feedback as JSON, in the spool's order. Returns after the controller has them durably."""
        parts = (msgspec.json.encode(self._sidecar), b",".join(records), b",".join(feedback))
        answer = await self._post("/v1/usage", b'{"sidecar":%b,"records":[%b],"feedback":[%b]}' % parts)
        try:
            return msgspec.json.decode(answer, type=UsageReceipt)
        except _UNREADABLE as error:
            raise UplinkFailed(f"{self.url}/v1/usage answered with no receipt: {error}") from error

    async def spend(self) -> FleetSpend:
        """What the fleet has spent, by the controller's books."""
        try:
            async with self._session.get(
                f"{self.url}/v1/spend", params=self._scope, headers=self._headers(), ssl=self._tls.context()
            ) as response:
                await _expect_ok(response)
                return msgspec.json.decode(await _whole(response), type=FleetSpend)
        except (aiohttp.ClientError, OSError, *_UNREADABLE) as error:
            raise UplinkFailed(f"asking {self.url} what was spent: {_plainly(error)}") from error

    async def _post(self, path: str, body: bytes) -> bytes:
        try:
            headers = self._headers({"content-type": "application/json"})
            async with self._session.post(
                self.url + path, params=self._scope, data=body, headers=headers, ssl=self._tls.context()
            ) as response:
                await _expect_ok(response)
                return await _whole(response)
        except (aiohttp.ClientError, OSError) as error:
            raise UplinkFailed(f"posting to {self.url}{path}: {_plainly(error)}") from error

    def _headers(self, more: Mapping[str, str] = NONE_MORE) -> dict[str, str]:
        """Raises OSError when the token's file is there and cannot be read."""
        if self._token_file is None or not self._token_file.exists():
            return dict(more)
        token = self._token_file.read_text(encoding="utf-8").strip().partition("\n")[0].rstrip()
        return {"authorization": f"Bearer {token}", **more}

    async def close(self) -> None:
        await self._session.close()


async def _expect_ok(response: aiohttp.ClientResponse) -> None:
    if response.status >= 300:
        text = (await response.content.read(300)).decode(errors="replace")
        kind = UplinkRefused if response.status in REFUSALS else UplinkFailed
        raise kind(f"{response.url.path} answered {response.status}: {text}")


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The body, unpacked, until it is longer than the largest bundle: however small it came packed."""
    data = bytearray()
    while len(data) <= MAX_BUNDLE_BYTES and (piece := await response.content.readany()):
        data += piece
    return bytes(data)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    data = await _beginning(response)
    if len(data) > MAX_BUNDLE_BYTES:
        raise UplinkFailed(f"{response.url.path} answered with more than {MAX_BUNDLE_BYTES} bytes")
    return data


def _plainly(error: Exception) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "cannot connect"
    return str(error) or type(error).__name__
