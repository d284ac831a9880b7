"""The estimate of tokens: text by its bytes, media by their number."""

import base64

import pytest

from sidecar.dialects.estimate import MEDIA_TOKENS, estimate_text_tokens, estimate_tokens

PICTURE = base64.b64encode(bytes(range(256)) * 40)


@pytest.mark.parametrize(
    ("raw", "linked_media", "tokens"),
    [
        (b"", 0, 0),
        (b"a", 0, 1),
        (b"x" * 4_000, 0, 1_000),
        (b'{"data":"short"}', 0, 4),
        (b'"data:image/png;base64,' + PICTURE + b'"', 0, 6 + MEDIA_TOKENS),
        (b'{"data":"' + PICTURE + b'"},{"data":"' + PICTURE + b'"}', 0, 6 + 2 * MEDIA_TOKENS),
        (b'"https://example.com/a.png"', 1, 7 + MEDIA_TOKENS),
    ],
)
def test_text_counts_by_bytes_and_media_by_number(raw: bytes, linked_media: int, tokens: int) -> None:
    assert estimate_tokens(raw, linked_media=linked_media) == tokens


def test_an_inline_image_with_escaped_slashes_is_still_one_image() -> None:
    escaped = PICTURE.replace(b"/", b"\\/")
    assert estimate_tokens(b'"data:image\\/png;base64,' + escaped + b'"') == 7 + MEDIA_TOKENS


def test_text_alone_counts_the_same_without_a_search_for_media() -> None:
    for raw in (b"", b"a", b"abcd", b"x" * 4_001):
        assert estimate_text_tokens(raw) == estimate_tokens(raw)
