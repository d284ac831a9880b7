"""The model's field of a multipart form: found wherever it stands and however the bytes were cut, and no other."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.forms import MAX_HEADERS_BYTES, MAX_VALUE_BYTES, FormField, boundary_of
from sidecar.errors import MalformedRequest

BOUNDARY = "x-0123"
FILE = (
    'content-disposition: form-data; name="file"; filename="a.wav"\r\ncontent-type: audio/wav',
    b"\x00\r\n--x-01--x-0123\r\n" * 99,
)
PROMPT = 'Content-Disposition: form-data; name="prompt"', b'name="model"\r\n\r\nno'
MODEL = 'Content-Disposition: form-data; name="model"', b"whisper-1"
QUIET = "Content-Disposition: form-data; name=model", b"whisper-1"
AS_FILE = 'content-disposition: form-data; name="model"; filename="model.bin"', b"no"


def form(*parts: tuple[str, bytes]) -> bytes:
    whole = b"".join(b"--x-0123\r\n%b\r\n\r\n%b\r\n" % (head.encode(), value) for head, value in parts)
    return whole + b"--x-0123--\r\n"


def fed(*pieces: bytes) -> FormField:
    field = FormField(BOUNDARY.encode(), "model")
    for piece in pieces:
        field.feed(piece)
    return field


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((MODEL, FILE), "whisper-1"),
        ((FILE, PROMPT, MODEL), "whisper-1"),
        ((AS_FILE, QUIET), "whisper-1"),
        ((FILE, PROMPT), ""),
        ((AS_FILE,), ""),
        ((("X-Other: 1", b"no"), MODEL), "whisper-1"),
        (((MODEL[0] + "\r\ncontent-type: text/plain", "modèle".encode()), FILE), "modèle"),
    ],
)
@given(st.data())
def test_the_field_is_found_wherever_the_bytes_were_cut(
    parts: tuple[tuple[str, bytes], ...], expected: str, data: st.DataObject
) -> None:
    whole = form(*parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    field = fed(*(whole[start:end] for start, end in itertools.pairwise([0, *cuts, len(whole)])))
    assert (field.value, field.done, bytes(field.arrived)) == (expected, True, whole)
    renamed = (
        whole
        if not expected
        else form(*((h, b"o-1" if v.decode("utf-8", "replace") == expected else v) for h, v in parts))
    )
    assert field.with_value("o-1") == renamed


def test_it_is_done_as_soon_as_the_field_is_whole() -> None:
    whole = form(MODEL, FILE)
    end = whole.index(b"\r\n--x-0123", 12) + len(b"\r\n--x-0123")
    assert not fed(whole[: end - 1]).done
    assert fed(whole[:end]).done


@pytest.mark.parametrize(
    "parts",
    [(("x-filler: " + "a" * MAX_HEADERS_BYTES, b""), MODEL), ((MODEL[0], b"m" * (MAX_VALUE_BYTES + 9)), MODEL)],
)
def test_what_is_beyond_all_measure_is_left_unread(parts: tuple[tuple[str, bytes], ...]) -> None:
    field = fed(form(*parts))
    assert (field.value, field.done) == ("", True)
    assert field.with_value("o-1") == form(*parts)


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(MalformedRequest):
        _ = fed(form((MODEL[0], b"\xff"))).value


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=x-0123", b"x-0123"),
        ('multipart/form-data; charset=utf-8; Boundary="a b"', b"a b"),
    ],
)
def test_the_boundary_is_read_in_either_form(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


def test_a_form_without_a_boundary_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="boundary"):
        boundary_of("multipart/form-data")
