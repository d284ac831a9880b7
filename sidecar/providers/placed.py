"""Where a request goes at its provider and what it says there; and how Anthropic's bodies change at clouds. Pure."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from sidecar.ports import UpstreamAnswer


class Placed(NamedTuple):
    path: str
    """What goes after the base URL."""
    headers: Mapping[str, str]
    body: bytes
    read: Callable[[UpstreamAnswer], UpstreamAnswer] | None = None
    """Brings the answer into the dialect's own shape; None: it is in it."""


_OWN_VERSION = "2023-06-01"
"""The version that clouds have a name of their own for; every other goes by its date there too (anthropic SDK 2.x,
`lib/vertex` and `lib/bedrock`)."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def hosted_anthropic(
    headers: Mapping[str, str], body: bytes, version: str
) -> tuple[dict[str, msgspec.Raw], dict[str, str]]:
    """A Messages body's fields and the request's headers as clouds take them: no model, and the version in the body.

    Args:
        version: the cloud's own name of Anthropic's first version.
    """
    fields = _FIELDS.decode(body)
    fields.pop("model", None)
    shown = dict(headers)
    asked = shown.pop("anthropic-version", _OWN_VERSION)
    named = version if asked == _OWN_VERSION else asked
    fields.setdefault("anthropic_version", msgspec.Raw(msgspec.json.encode(named)))
    return fields, shown
