"""What the two HTTP clients have in common: their port, and what they promise alike."""

from collections.abc import AsyncIterable, Mapping
from typing import Protocol

from schemas.version import VERSION
from sidecar.http1.place import Place
from sidecar.ports import UpstreamAnswer

KEEPALIVE_SECONDS = 75.0
"""Warm connections matter more than any other knob; common load balancers close after 60 to 350 s."""

DNS_SECONDS = 30
"""How long a looked-up address is used: a name that moves is followed well within a minute."""

MAX_ANSWER_BYTES = 64 << 20
"""Of a plain answer or an error body: larger means a peer gone wrong."""

DEFAULT_HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": f"pointsman/{VERSION}"}
"""Where a request does not say otherwise. No answer is unpacked: none is asked for that is packed."""


class HttpClient(Protocol):
    """No redirect is followed, no cookie kept, no certificate taken unverified. Once connected nothing times out: what
    bounds an attempt is the pipeline's."""

    async def request(
        self,
        provider: str,
        method: str,
        place: Place,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> UpstreamAnswer:
        """
        Args:
            provider: as messages name it.
            body: what is still arriving has the length that `content-length` says among `headers`, or an unknown one.

        Raises:
            UpstreamError: Unreachable or ConnectionLost.
        """
        ...

    async def close(self) -> None: ...
