"""Thought signatures: what a vendor seals its model's thoughts with, and takes back unchanged or not at all.

Gemini's own never leave this dialect, as no other vendor could read them. Those of another vendor, given to a caller of
this dialect, are wrapped with a mark, so that they are never sent to Gemini and reach their own vendor again.
"""

import base64
import binascii

from sidecar.canonical.request import Reasoning, RedactedReasoning

SKIP = "skip_thought_signature_validator"
"""Stands for the signature of a function call that another model made, without which Gemini 3 refuses the history
(ai.google.dev/gemini-api/docs/thought-signatures, "FAQs"). It reads the same in both alphabets of base64."""

_SIGNED, _REDACTED = b"pointsman:s:", b"pointsman:r:"

MARK = base64.b64encode(b"pointsman")
"""What every wrapped one begins with: nine bytes are twelve letters, whatever follows. SDKs that hold the field as
bytes may write it in the other alphabet of base64; these letters are in both."""


def wrap(signature: str) -> str:
    return base64.b64encode(_SIGNED + signature.encode()).decode()


def wrap_redacted(data: str) -> str:
    return base64.b64encode(_REDACTED + data.encode()).decode()


def unwrap(text: str, signature: str | None) -> Reasoning | RedactedReasoning:
    """A thought as the canonical form has it: signed only where another vendor's signature was wrapped."""
    sealed = _sealed(signature)
    if sealed.startswith(_REDACTED):
        return RedactedReasoning(data=sealed.removeprefix(_REDACTED).decode("utf-8", "replace"))
    if sealed.startswith(_SIGNED):
        return Reasoning(text=text, signature=sealed.removeprefix(_SIGNED).decode("utf-8", "replace"))
    return Reasoning(text=text)


def is_wrapped(signature: str | None) -> bool:
    return signature is not None and signature.startswith(MARK.decode())


def _sealed(signature: str | None) -> bytes:
    if signature is None or not is_wrapped(signature):
        return b""
    padded = signature.rstrip("=") + "=" * (-len(signature.rstrip("=")) % 4)
    try:
        return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""
