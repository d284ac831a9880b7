"""Whose signature a piece of thinking bears: it goes back to the vendor that gave it, and to no other, which would
refuse the request for it.

In the canonical form Anthropic's signatures stand bare. Those of the Responses API are marked, and carry the id of
their reasoning item: the API verifies the encrypted content together with it.
"""

RESPONSES_MARK = "openai-responses:"


def mark_responses(item_id: str, encrypted: str) -> str:
    return f"{RESPONSES_MARK}{item_id}:{encrypted}"


def responses_item(signature: str) -> tuple[str, str] | None:
    """Item id and encrypted content; None where another vendor signed."""
    if not signature.startswith(RESPONSES_MARK):
        return None
    item_id, _, encrypted = signature.removeprefix(RESPONSES_MARK).partition(":")
    return item_id, encrypted


GEMINI_MARK = "gemini:"
FOREIGN_MARKS = (RESPONSES_MARK, GEMINI_MARK)
"""What the id of a call of a provider's own tool begins with, where that provider is not Anthropic."""
