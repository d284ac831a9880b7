"""Makes a provider's message fit to be shown and logged: whatever looks like a key is masked. A table of patterns."""

import re

MASK = "[masked]"

MAX_MESSAGE_CHARS = 2_000
"""A message says what is wrong in less; a longer one repeats the request."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A query may hold a key or a prompt; the page's address alone still says where.
    (re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*"), r"\1"),
    # …and so may the part of a URL before its host.
    (re.compile(r"(https?://)[^\s/@\"'<>]+@"), r"\1"),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"',;]+", re.IGNORECASE), rf"\1 {MASK}"),
    # OpenAI, Anthropic, OpenRouter, DeepSeek: sk-…, also where the provider has starred out its middle.
    (re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_*.\-]{4,}"), MASK),
    (re.compile(r"\b(?:gsk|xai|hf|pplx|nvapi|tgp|fw|ghp|glpat|key)[-_][A-Za-z0-9_*\-]{12,}"), MASK),
    (re.compile(r"\bAIza[A-Za-z0-9_\-*]{8,}"), MASK),
    (re.compile(r"\bya29\.[A-Za-z0-9_\-.]{8,}"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+){0,2}"), MASK),
    # A long run of hex or base64 that a word for a secret announces.
    (
        re.compile(
            r"((?:\bkey|api[-_ ]?key|\btoken|\bsecret|\bpassword|\bcredential|\bauthorization)s?\b"
            r"(?:\s+(?:provided|given|supplied|used|is|was))*[\s:='\"`(]{1,4})"
            r"(?=[A-Za-z0-9+/_.=*\-]*[0-9*])[A-Za-z0-9+/_.=*\-]{12,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def redact(message: str) -> str:
    """The message without anything like a key, without the query of a URL, and no longer than it needs to be."""
    for pattern, mask in _PATTERNS:
        message = pattern.sub(mask, message)
    return message if len(message) <= MAX_MESSAGE_CHARS else message[: MAX_MESSAGE_CHARS - 1] + "…"
