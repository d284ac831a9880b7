import pytest

from controller.cli.fleet import text_of


def member(**changes: str) -> dict[str, str]:
    return {
        "id": "s1", "use_case": "support", "state": "SYNCED", "bundle": "sha256:0", "revision": "a" * 40,
        "last_seen": "2026-11-05T12:00:00.000Z", "error": "",
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3, "3 s ago"), (-5, "0 s ago"), (180, "3 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")]
)
def test_each_sidecar_has_its_line(seconds: float, shown: str) -> None:
    text = text_of([member(error="two\nlines")], now=1793880000.0 + seconds)
    line = text.splitlines()[2]
    assert f"{'a' * 12}  " in line
    assert "a" * 13 not in line
    assert shown in line
    assert "two lines" in line
    assert text.endswith("1 of 1 on the current revision")


def test_a_folder_s_revision_keeps_its_kind() -> None:
    assert "folder:0123456789ab  " in text_of([member(revision="folder:0123456789abcdef")], now=0.0)


def test_an_empty_fleet_is_said_in_words() -> None:
    assert text_of([], now=0.0) == "No sidecar has reported to this controller yet."
