"""What is remembered of a source on this machine."""

from pathlib import Path

import pytest

from controller.known_source import NAME, KnownSource, note_source, recall_source


def test_what_was_noted_is_known_again_for_that_path_alone(tmp_path: Path) -> None:
    known = KnownSource("/rules", "/rules/.git")
    note_source(tmp_path, known)
    assert recall_source(tmp_path, Path("/rules")) == known
    assert recall_source(tmp_path, Path("/other")) is None


def test_the_last_word_counts(tmp_path: Path) -> None:
    note_source(tmp_path, KnownSource("/rules", "/rules/.git"))
    note_source(tmp_path, KnownSource("/rules"))
    assert recall_source(tmp_path, Path("/rules")) == KnownSource("/rules")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b'{"path": 1}'])
def test_what_cannot_be_read_is_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / NAME).write_bytes(data)
    assert recall_source(tmp_path, Path("/rules")) is None
