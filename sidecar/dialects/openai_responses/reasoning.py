"""Reasoning items ↔ thinking. What another vendor's model thought gets an item whose `encrypted_content` says so: it
comes back with the conversation, is read again by its own vendor, and never shown to OpenAI, which would refuse it.
"""

from collections.abc import Iterable, Mapping

import msgspec

from sidecar.canonical.request import Reasoning, RedactedReasoning
from sidecar.dialects.signatures import mark_responses, responses_item

FOREIGN = "pointsman:"
SEALED = "pointsman-sealed:"
"""Thinking that its vendor has hidden whole (Anthropic's `redacted_thinking`)."""

BETWEEN_PARTS = "\n\n"
"""Summaries come in parts, each with its own heading; a thought is one text."""


class ReasoningPart(msgspec.Struct, frozen=True):
    text: str = ""


def decode_reasoning(
    item_id: str, summary: Iterable[ReasoningPart], content: Iterable[ReasoningPart], encrypted: str | None
) -> Reasoning | RedactedReasoning:
    text = BETWEEN_PARTS.join(part.text for part in (*summary, *content) if part.text)
    if encrypted and encrypted.startswith(SEALED):
        return RedactedReasoning(data=encrypted.removeprefix(SEALED))
    return Reasoning(text=text, signature=decode_signature(item_id, encrypted))


def decode_signature(item_id: str, encrypted: str | None) -> str | None:
    """llama.cpp fills the field with an empty string."""
    if not encrypted:
        return None
    if encrypted.startswith(FOREIGN):
        return encrypted.removeprefix(FOREIGN) or None
    return mark_responses(item_id, encrypted)


def encode_signature(signature: str | None) -> str:
    """For a caller: what lets its next request be told apart from OpenAI's own."""
    own = None if signature is None else responses_item(signature)
    return own[1] if own is not None else f"{FOREIGN}{signature or ''}"


def own_item(part: Reasoning) -> dict[str, object] | None:
    """For OpenAI: the item as it came from there; None where another vendor thought it."""
    own = None if part.signature is None else responses_item(part.signature)
    if own is None:
        return None
    item_id, encrypted = own
    item: dict[str, object] = {"type": "reasoning"}
    if item_id:
        item["id"] = item_id
    return item | {"summary": encode_summary(part.text), "encrypted_content": encrypted}


def encode_summary(text: str) -> list[Mapping[str, str]]:
    return [{"type": "summary_text", "text": text}] if text else []


def is_foreign(encrypted: object) -> bool:
    return isinstance(encrypted, str) and encrypted.startswith((FOREIGN, SEALED))
