"""Request fields that a compatible host calls otherwise or refuses: renamed or left out, as its provider file says."""

from collections.abc import Mapping

import msgspec

from sidecar.dialects.base import Encoded

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])

_OURS = frozenset({"stream_options"})
"""Asked for by ourselves, to count by: leaving it out takes nothing from the caller."""


def fitted(encoded: Encoded, names: Mapping[str, str | None]) -> Encoded:
    """The request as the host takes it; every other field keeps its bytes. What is left out is named as dropped.

    Args:
        names: a field to what the host calls it, or to None where it has no such field.
    """
    fields = _FIELDS.decode(encoded.body)
    named = [name for name in names if name in fields]
    if not named:
        return encoded
    values = {new: fields[name] for name in named if (new := names[name]) is not None}
    kept = {name: value for name, value in fields.items() if name not in names}
    dropped = [name for name in named if names[name] is None and name not in _OURS]
    return Encoded(msgspec.json.encode(kept | values), (*encoded.dropped, *dropped))
