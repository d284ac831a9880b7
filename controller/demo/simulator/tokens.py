"""How a simulated provider counts tokens: one per started four characters. Pure, and the same for every dialect.

A message costs four more for its role, an image 85 and a document 250, whatever their size.
"""

CHARACTERS_PER_TOKEN = 4
MESSAGE_TOKENS = 4
IMAGE_TOKENS = 85
DOCUMENT_TOKENS = 250


def count_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def cut_to_tokens(text: str, tokens: int) -> str:
    """The longest beginning of `text` that costs at most `tokens`."""
    return text[: tokens * CHARACTERS_PER_TOKEN]
