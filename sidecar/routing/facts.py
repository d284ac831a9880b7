"""What a rule may look at in a request. Every fact is cheap, and is recorded or can be estimated from what is."""

from collections.abc import Mapping
from typing import get_args

import msgspec

from schemas.bundle import Capability
from schemas.problems import did_you_mean
from sidecar.routing.conversations import conversation_key

CAPABILITIES: frozenset[str] = frozenset(get_args(Capability))


class Facts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    input_tokens: int = 0
    """An estimate."""
    max_output_tokens: int | None = None
    needs: frozenset[Capability] = frozenset()
    stream: bool = False
    agent: str = ""
    caller: str = ""
    headers: Mapping[str, str] = {}
    """Lower-case names; only those that some rule of the use case looks at need be there."""
    metadata: Mapping[str, str] = {}
    conversation: str = ""
    """The key of the conversation that it belongs to; canary and split draw by it. Empty: nobody asked."""


def parse_facts(document: Mapping[str, object]) -> Facts:
    """Facts as people write them in rule tests and for `explain`: `{"input_tokens": 1200, "tools": true}`.

    A capability stands for itself as a boolean, and a conversation by the name that its header gives it. Raises:
        ValueError: an unknown name, with the nearest known one, or a value of the wrong type.
    """
    known = {
        "input_tokens",
        "max_output_tokens",
        "needs",
        "stream",
        "agent",
        "caller",
        "headers",
        "metadata",
        "conversation",
    }
    fields: dict[str, object] = {}
    needs: set[str] = set()
    for name, value in document.items():
        if name in CAPABILITIES:
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false, not {value!r}")
            if value:
                needs.add(name)
        elif name == "needs":
            needs.update(_names(value))
        elif name in known:
            fields[name] = value
        else:
            hint = did_you_mean(name, known | CAPABILITIES)
            raise ValueError(f'unknown fact "{name}"; {hint or "known: " + ", ".join(sorted(known | CAPABILITIES))}')
    if isinstance(named := fields.get("conversation"), str) and named:
        fields["conversation"] = conversation_key(named=named)
    try:
        return msgspec.convert({**fields, "needs": sorted(needs)}, Facts)
    except msgspec.ValidationError as error:
        raise ValueError(f"facts: {error}") from error


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"needs must be a list of capabilities, not {value!r}")
    return value
