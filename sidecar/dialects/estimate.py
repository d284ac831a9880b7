"""How many tokens a request is, without a tokenizer and without decoding it. Good enough to route and to reserve by;
the provider's own count is what gets booked.
"""

import re

BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb for English: a token is about four characters of text
(https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them)."""

MEDIA_TOKENS = 1_500
"""An image, a file or a sound, whatever its size. Providers scale an image down before they count it: Anthropic names
about 1,600 tokens for the largest it takes without scaling, OpenAI 765 for 1024 × 1024 in high detail."""

_MIN_INLINE_BYTES = 512
"""Runs of base64 shorter than this are counted as text: words and ids are no media."""

_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/=_\\-]{%d,}" % _MIN_INLINE_BYTES)

_INLINE_HINTS = (b";base64,", b'"base64"', b'"data"', b'"file_data"')
"""Where none of these stands in a body, nothing is inline, and the body is not searched."""


def is_inline(raw: bytes) -> bool:
    """The bytes of an image, a file or a sound may stand in this JSON, not just its address."""
    return any(hint in raw for hint in _INLINE_HINTS)


def estimate_text_tokens(raw: bytes) -> int:
    """Tokens of raw JSON that holds text alone: its bytes by four."""
    return -(-len(raw) // BYTES_PER_TOKEN)


def estimate_tokens(raw: bytes, *, linked_media: int = 0) -> int:
    """Tokens of raw JSON: its bytes by four, and a fixed cost for each inline or linked image, file or sound.

    Args:
        raw: messages, tools and whatever else the model reads, as they came.
        linked_media: images, files and sounds that are named by a URL or an id, and so have no bytes here.
    """
    text_bytes = len(raw)
    media = linked_media
    if is_inline(raw):
        for run in _BASE64_RUN.finditer(raw):
            text_bytes -= run.end() - run.start()
            media += 1
    return -(-text_bytes // BYTES_PER_TOKEN) + media * MEDIA_TOKENS
