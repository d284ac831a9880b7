"""The estimate of tokens: text by the kinds of its characters, media by their number."""

import base64
import json

import pytest

from sidecar.dialects.estimate import MEDIA_TOKENS, estimate_text_tokens, estimate_tokens

PICTURE = base64.b64encode(bytes(range(256)) * 40)
ENGLISH = "the train is late again and nobody on the platform seems surprised "
CHINESE = "夜班火车又晚点了站台上似乎没有人感到意外"
RUSSIAN = "ночной поезд снова опаздывал и никто не удивлялся "


@pytest.mark.parametrize(
    ("raw", "linked_media", "tokens"),
    [
        (b"", 0, 0),
        (b"a", 0, 1),
        (b"x" * 4_000, 0, 800),
        (b"x" * 400_000, 0, 80_000),
        (b"7" * 4_000, 0, 2_000),
        ("站".encode() * 1_000, 0, 750),
        ("ж".encode() * 1_000, 0, 300),
        ("😀".encode() * 1_000, 0, 750),
        (b'{"data":"short"}', 0, 6),
        (b'"data:image/png;base64,' + PICTURE + b'"', 0, 8 + MEDIA_TOKENS),
        (b'{"data":"' + PICTURE + b'"},{"data":"' + PICTURE + b'"}', 0, 10 + 2 * MEDIA_TOKENS),
        (b'"https://example.com/a.png"', 1, 8 + MEDIA_TOKENS),
    ],
)
def test_text_counts_by_its_characters_and_media_by_number(raw: bytes, linked_media: int, tokens: int) -> None:
    assert estimate_tokens(raw, linked_media=linked_media) == tokens


def test_an_inline_image_with_escaped_slashes_is_still_one_image() -> None:
    escaped = PICTURE.replace(b"/", b"\\/")
    assert estimate_tokens(b'"data:image\\/png;base64,' + escaped + b'"') == 8 + MEDIA_TOKENS


@pytest.mark.parametrize("text", [CHINESE, RUSSIAN, "Größenänderung außerhalb "])
def test_an_escaped_character_counts_as_itself(text: str) -> None:
    escaped = json.dumps(text * 20).encode()
    assert escaped.isascii()
    assert estimate_text_tokens(escaped) == pytest.approx(
        estimate_text_tokens(json.dumps(text * 20, ensure_ascii=False).encode()), rel=0.2
    )


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, RUSSIAN])
def test_the_sample_of_a_long_text_tells_what_all_of_it_is(text: str) -> None:
    short, long = (json.dumps([text] * times, ensure_ascii=False).encode() for times in (10, 2_000))
    assert estimate_text_tokens(long) == pytest.approx(200 * estimate_text_tokens(short), rel=0.03)


def test_a_long_text_of_two_kinds_is_sampled_in_both() -> None:
    parts = [(text * 2_000).encode() for text in (ENGLISH, CHINESE)]
    assert estimate_text_tokens(b"".join(parts)) == pytest.approx(sum(map(estimate_text_tokens, parts)), rel=0.1)


def test_what_counts_the_text_can_be_told_and_sees_no_media() -> None:
    seen: list[bytes] = []

    def count_text(raw: bytes) -> int:
        seen.append(raw)
        return 7

    assert (
        estimate_tokens(b'{"data":"' + PICTURE + b'"}', linked_media=1, count_text=count_text) == 7 + 2 * MEDIA_TOKENS
    )
    assert seen == [b'{"data":""}']
