"""How many tokens a request is, without decoding it and by default without a tokenizer. Good enough to route and to
reserve by; the provider's own count is what gets booked.
"""

import re
from collections.abc import Callable

TextCount = Callable[[bytes], int]
"""Tokens of raw JSON that holds text alone: estimated as here, or counted by a vocabulary."""

MEDIA_TOKENS = 1_500
"""An image, a file or a sound, whatever its size. Providers scale an image down before they count it: Anthropic names
about 1,600 tokens for the largest it takes without scaling, OpenAI 765 for 1024 × 1024 in high detail."""

_MIN_INLINE_BYTES = 512
"""Runs of base64 shorter than this are counted as text: words and ids are no media."""

_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/=_\\-]{%d,}" % _MIN_INLINE_BYTES)

_INLINE_HINTS = (b";base64,", b'"base64"', b'"data"', b'"file_data"')
"""Where none of these stands in a body, nothing is inline, and the body is not searched."""

_LETTERS = bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b" "
_CONTINUATION = bytes(range(0x80, 0xC0))
_SHORT_LEADS = bytes(range(0xC0, 0xE2))
_ASCII, _NOT_ASCII = bytes(range(0x80)), bytes(range(0x80, 0x100))

# Hundredths of a token for a character of each kind. Fitted to o200k_base; tests/bench/README.md says how far off
# they are for each kind of text.
_PER_LETTER = 20
"""Of a word in ASCII, and the space before it."""
_PER_MARK = 50
"""Digits, punctuation and line ends: several that often stand together are one token."""
_PER_SHORT = 30
"""Below U+2000, in alphabets other than ASCII."""
_PER_WIDE = 75
"""All others: mostly Chinese, Japanese and Korean."""

_ESCAPED_SHORT = re.compile(rb"\\u[01][0-9a-fA-F]{3}")
_ESCAPED_WIDE = re.compile(rb"\\u[2-9a-fA-F][0-9a-fA-F]{3}")

_SAMPLE_BLOCKS, _BLOCK_BYTES = 32, 128
"""Of a longer text only these blocks are looked at, evenly spread: they tell the mixture, its length tells the rest."""


def is_inline(raw: bytes) -> bool:
    """The bytes of an image, a file or a sound may stand in this JSON, not just its address."""
    return any(hint in raw for hint in _INLINE_HINTS)


def estimate_text_tokens(raw: bytes) -> int:
    """Tokens of raw JSON that holds text alone, by the kinds of its characters."""
    sample = _sample(raw)
    return -(-_hundredths(sample) * len(raw) // (100 * len(sample))) if sample else 0


def _sample(raw: bytes) -> bytes:
    if len(raw) <= _SAMPLE_BLOCKS * _BLOCK_BYTES:
        return raw
    step = len(raw) // _SAMPLE_BLOCKS
    return b"".join([raw[at : at + _BLOCK_BYTES] for at in range(0, step * _SAMPLE_BLOCKS, step)])


def _hundredths(text: bytes) -> int:
    if b"\\u" in text:  # JSON as many libraries write it: a character counts as itself, not as its six bytes
        text = _ESCAPED_WIDE.sub(b"\xe4", _ESCAPED_SHORT.sub(b"\xd0", text))
    if text.isascii():
        marks = len(text.translate(None, _LETTERS))
        return _PER_MARK * marks + _PER_LETTER * (len(text) - marks)
    leads = text.translate(None, _ASCII + _CONTINUATION)
    wide = len(leads.translate(None, _SHORT_LEADS))
    return _PER_SHORT * (len(leads) - wide) + _PER_WIDE * wide + _hundredths(text.translate(None, _NOT_ASCII))


def estimate_tokens(raw: bytes, *, linked_media: int = 0, count_text: TextCount = estimate_text_tokens) -> int:
    """Tokens of raw JSON: its text, and a fixed cost for each inline or linked image, file or sound.

    Args:
        raw: messages, tools and whatever else the model reads, as they came.
        linked_media: images, files and sounds that are named by a URL or an id, and so have no bytes here.
    """
    media = linked_media
    if is_inline(raw):
        raw, inline = _BASE64_RUN.subn(b"", raw)
        media += inline
    return count_text(raw) + media * MEDIA_TOKENS
