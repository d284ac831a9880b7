"""Texts counted by a real vocabulary (extra `tokens`). JSON around them, and tools, stay estimates: how a provider
writes those into a prompt is its secret."""

import msgspec

from sidecar.dialects.estimate import TextCount, estimate_text_tokens

ENCODING = "o200k_base"
"""Of OpenAI's GPT-4o, o-series, GPT-4.1 and GPT-5 (toktok, `batch_count`). For all other models this stays an estimate:
the target is chosen after the count."""

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
            held = {"text": msgspec.json.decode(raw)}
            _take_texts(held, texts)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return estimate_text_tokens(raw)  # what is no JSON is refused by whoever reads it
        return tokens_of(texts) + estimate_text_tokens(msgspec.json.encode(held["text"]))

    tokens_of([""])  # loads it: the first call is not to wait for that
    return count_text


def _take_texts(members: dict[str, object], texts: list[str]) -> None:
    """Adds every text to `texts`, and leaves an empty one where it stood."""
    for name, entry in members.items():
        if isinstance(entry, dict):
            _take_texts(entry, texts)
        elif isinstance(entry, list):
            _take_entries(entry, name in TEXT_FIELDS, texts)
        elif isinstance(entry, str) and name in TEXT_FIELDS:
            texts.append(entry)
            members[name] = ""


def _take_entries(entries: list[object], are_texts: bool, texts: list[str]) -> None:
    for place, entry in enumerate(entries):
        if isinstance(entry, dict):
            _take_texts(entry, texts)
        elif isinstance(entry, list):
            _take_entries(entry, are_texts, texts)
        elif isinstance(entry, str) and are_texts:
            texts.append(entry)
            entries[place] = ""
