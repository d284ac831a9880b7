"""Texts counted by a real vocabulary (extra `tokens`). JSON around them, and tools, stay estimates: how a provider
writes those into a prompt is its secret."""

import msgspec

from sidecar.dialects.estimate import TextCount, estimate_text_tokens

ENCODING = "o200k_base"
"""OpenAI's, of GPT-4o and everything since. No other vendor's is public; for their models this stays an estimate."""

TEXT_FIELDS = frozenset(
    {"arguments", "content", "input", "instructions", "output", "refusal", "system", "text", "thinking"}
)
"""Where texts stand, in any dialect."""


def load_vocabulary() -> TextCount:
    """Takes about 0.3 s and 63 MB, once.

    Raises:
        ImportError: the extra is not installed; `settings` has refused that before.
    """
    from toktok import batch_count

    def tokens_of(texts: list[str]) -> int:
        return sum(batch_count(texts, ENCODING, threads=1))

    def count_text(raw: bytes) -> int:
        texts: list[str] = []
        try:
            rest = _without_texts(msgspec.json.decode(raw), True, texts)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return estimate_text_tokens(raw)  # what is no JSON is refused by whoever reads it
        return tokens_of(texts) + estimate_text_tokens(msgspec.json.encode(rest))

    tokens_of([""])  # loads it: the first call is not to wait for that
    return count_text


def _without_texts(value: object, is_text: bool, texts: list[str]) -> object:
    """The same JSON with nothing where its texts were; those are added to `texts`."""
    if isinstance(value, str):
        if not is_text:
            return value
        texts.append(value)
        return ""
    if isinstance(value, list):
        return [_without_texts(entry, is_text, texts) for entry in value]
    if isinstance(value, dict):
        return {name: _without_texts(entry, name in TEXT_FIELDS, texts) for name, entry in value.items()}
    return value
