"""A stream as one JSON array: the same documents as the events hold, however they are handed over."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.gemini.array import JsonArray
from sidecar.sse import encode_event

DOCUMENTS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(), max_size=3))


@given(DOCUMENTS, st.data())
def test_the_elements_are_the_documents(documents: list[dict[str, object]], data: st.DataObject) -> None:
    array, out = JsonArray(), b""
    events = [
        encode_event(json.dumps(document, indent=data.draw(st.sampled_from([None, 1]))).encode())
        for document in documents
    ]
    while events:
        size = data.draw(st.integers(1, len(events)))
        out += array.feed(b"".join(events[:size]))
        del events[:size]
    assert json.loads(out + array.finish()) == documents


@pytest.mark.parametrize(
    "events", [b"\xef\xbb\xbfdata: {}\n\n", b": comment\n\ndata: {}\r\n\r\n", b"event: message\ndata: {}\n"]
)
def test_whatever_frames_a_document_is_left_out(events: bytes) -> None:
    array = JsonArray()
    assert json.loads(array.feed(events) + array.finish()) == [{}]
