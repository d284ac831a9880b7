"""Whether a push event comes from the forge that knows our secret: its HMAC or its token. Pure.

GitHub: "Validating webhook deliveries" (`X-Hub-Signature-256: sha256=<hex>`). Gitea: "Webhooks" (`X-Gitea-Signature:
<hex>`). GitLab: "Webhooks", secret token (`X-Gitlab-Token`).
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

HMAC_HEADERS: Final = ("x-hub-signature-256", "x-gitea-signature")
TOKEN_HEADER: Final = "x-gitlab-token"


def is_from_the_forge(headers: Mapping[str, str], body: bytes, secret: bytes) -> bool:
    """`headers` by their names in lower case. Compares in constant time."""
    made = hmac.new(secret, body, hashlib.sha256).hexdigest()
    for name in HMAC_HEADERS:
        if name in headers:
            return hmac.compare_digest(headers[name].strip().removeprefix("sha256=").lower().encode(), made.encode())
    return hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), secret) and bool(secret)
