"""Inline media as OpenAI's dialects write it: `data:` URLs (RFC 2397)."""


def split_data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64; None where the data is not base64."""
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma or not head.endswith(";base64"):
        return None
    return head.split(";", 1)[0] or "text/plain", data


def data_url(media_type: str | None, data: str) -> str:
    """Bare base64 where nobody said what it is."""
    return f"data:{media_type};base64,{data}" if media_type else data
