"""Anthropic's requests as clouds take them: the version goes into the body, and which one it is."""

import json

import pytest

from sidecar.providers.placed import hosted_anthropic

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'


@pytest.mark.parametrize(
    ("header", "expected"), [(None, "cloud-1"), ("2023-06-01", "cloud-1"), ("2026-10-21", "2026-10-21")]
)
def test_the_first_version_has_a_name_of_the_clouds_own_and_others_their_date(
    header: str | None, expected: str
) -> None:
    """anthropic SDK 2.x, `lib/vertex` and `lib/bedrock`: `_prepare_options`."""
    headers = {"x-a": "b"} | ({} if header is None else {"anthropic-version": header})
    fields, shown = hosted_anthropic(headers, BODY, "cloud-1")
    assert shown == {"x-a": "b"}
    assert json.loads(bytes(fields["anthropic_version"])) == expected
    assert set(fields) == {"messages", "anthropic_version"}


def test_what_a_body_names_itself_stands() -> None:
    body = BODY.replace(b'"model":"m"', b'"anthropic_version":"mine"')
    fields, _ = hosted_anthropic({"anthropic-version": "2026-10-21"}, body, "cloud-1")
    assert bytes(fields["anthropic_version"]) == b'"mine"'


def test_every_other_field_keeps_its_bytes() -> None:
    fields, _ = hosted_anthropic({}, b'{ "a" : 1.50, "model": "m", "b": {"c" : [ ]} }', "cloud-1")
    assert {name: bytes(raw) for name, raw in fields.items() if len(name) == 1} == {"a": b"1.50", "b": b'{"c" : [ ]}'}
