"""One decoder for each type, which takes null too and nothing else."""

import msgspec
import pytest

from sidecar.dialects.nullable import nullable


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [(bool, b"true", True), (bool, b"null", None), (int, b"7", 7), (list[str], b'["a"]', ["a"]), (str, b"null", None)],
)
def test_a_field_is_its_type_or_null(kind: type[object], raw: bytes, value: object) -> None:
    assert nullable(kind).decode(raw) == value


def test_anything_else_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        nullable(bool).decode(b'"yes"')


def test_types_that_look_alike_are_told_apart() -> None:
    assert nullable(dict[str, str]).decode(b'{"a":"b"}') == {"a": "b"}
    with pytest.raises(msgspec.ValidationError):
        nullable(dict[str, int]).decode(b'{"a":"b"}')
