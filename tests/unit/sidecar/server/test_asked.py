"""What follows from the head of a request: whose words, which form, whose key."""

from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from sidecar.dialects.base import BODY_ALONE, InPath
from sidecar.errors import MalformedRequest
from sidecar.server.asked import Asked

STREAM = InPath("chat", True, "streamGenerateContent")
PLAIN = InPath("chat", False, "generateContent")


def asked(
    path: str = "/v1/chat/completions",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    in_path: InPath | None = None,
) -> Asked:
    return Asked("pm-1", path, query or {}, headers or {}, in_path)


@pytest.mark.parametrize(
    ("one", "dialect"),
    [
        (asked(), "openai"),
        (asked("/v1/messages"), "anthropic"),
        (asked("/v1/messages/count_tokens"), "anthropic"),
        (asked("/v1/models", headers={"anthropic-version": "2023-06-01"}), "anthropic"),
        (asked("/v1beta/models"), "gemini"),
        (asked("/v1/models/chat:generateContent", in_path=PLAIN), "gemini"),
        (asked("/v1/models", headers={"x-goog-api-client": "genai"}), "gemini"),
        (asked("/nothing"), "openai"),
    ],
)
def test_whose_words_an_answer_is_in(one: Asked, dialect: str) -> None:
    assert one.dialect.name == dialect


@pytest.mark.parametrize(
    ("in_path", "query", "wants_array"),
    [(STREAM, {}, True), (STREAM, {"alt": "sse"}, False), (STREAM, {"alt": "json"}, True), (PLAIN, {}, False)],
)
def test_a_stream_of_google_s_is_an_array_unless_events_are_asked_for(
    in_path: InPath, query: dict[str, str], wants_array: bool
) -> None:
    one = asked(query=query, in_path=in_path)
    assert one.wants_array is wants_array
    assert one.call_in_path() == in_path


@pytest.mark.parametrize(("in_path", "alt"), [(STREAM, "proto"), (PLAIN, "sse"), (PLAIN, "media")])
def test_a_form_that_is_not_served_is_refused(in_path: InPath, alt: str) -> None:
    with pytest.raises(MalformedRequest, match="alt"):
        asked(query={"alt": alt}, in_path=in_path).call_in_path()


def test_other_paths_say_nothing_of_a_call() -> None:
    assert asked(query={"alt": "proto"}).call_in_path() is BODY_ALONE


def test_a_key_in_the_query_is_one_in_google_s_header_that_says_nothing_else() -> None:
    headers = CIMultiDict({"Host": "here"})
    assert asked(query={"key": "k"}, headers=headers).headers_with_key() == {"host": "here", "x-goog-api-key": "k"}
    assert asked(query={"key": "k"}).key_in_query == "k"
    said = {"x-goog-api-key": "header's"}
    assert asked(query={"key": "k"}, headers=said).headers_with_key() is said
    assert asked(headers=headers).headers_with_key() is headers
    assert asked().key_in_query == ""
