"""AWS Signature Version 4: a request's parts and the time in, the headers that prove it out. No I/O, no clock.

Written from "AWS Signature Version 4 for API requests" (IAM user guide, "Create a signed AWS API request").
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """What signs; the secret parts never show in its text."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    """With temporary credentials."""


@dataclass(frozen=True, slots=True)
class Scope:
    region: str
    service: str
    """The name that requests are signed for: `bedrock` for all of Bedrock's endpoints."""


def signature_headers(
    keys: AwsKeys, scope: Scope, method: str, url: str, headers: Mapping[str, str], body: bytes, now: float
) -> dict[str, str]:
    """The headers to add: `authorization`, `x-amz-date` and, with temporary credentials, `x-amz-security-token`.

    Args:
        url: as it will stand on the wire, percent-encoded; its host and port are signed as the Host header.
        headers: lower-case names; all of these are signed, so they must arrive as they are.
        now: Unix seconds. AWS refuses a signature that is more than five minutes off.
    """
    parts = urlsplit(url)
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": stamp}
    if keys.session_token is not None:
        added["x-amz-security-token"] = keys.session_token
    signed = sorted({"host": parts.netloc.rpartition("@")[2], **headers, **added}.items())
    names = ";".join(name for name, _ in signed)
    canonical = "\n".join(
        (
            method,
            # Every service but S3 encodes the path a second time.
            quote(parts.path or "/", safe="/~"),
            "&".join(f"{key}={value}" for key, value in _pairs(parts.query)),
            *(f"{name}:{' '.join(value.split())}" for name, value in signed),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    day_scope = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, stamp, day_scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = _hmac(_signing_key(keys.secret_key, day_scope), to_sign).hex()
    credential = f"{keys.access_key}/{day_scope}"
    added["authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return added


def _pairs(query: str) -> list[tuple[str, str]]:
    """Sorted; a key without a value has an empty one."""
    partitioned = (pair.partition("=") for pair in query.split("&") if pair)
    return sorted((key, value) for key, _, value in partitioned)


def _signing_key(secret_key: str, day_scope: str) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for part in day_scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")
