"""Limits in the form that OpenAI's SDKs read."""

import pytest

from sidecar.limits.headers import duration, limit_headers, retry_headers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.012, "12ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.9, "59.9s"),
        (60, "1m0s"),
        (360, "6m0s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_where_a_rule_stands() -> None:
    assert limit_headers("tokens", 600, 20, 0.5) == {
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "20",
        "x-ratelimit-reset-tokens": "500ms",
    }


@pytest.mark.parametrize(("wait", "text"), [(0.01, "1"), (1.2, "2"), (30, "30")])
def test_nobody_is_told_to_come_again_too_early(wait: float, text: str) -> None:
    assert retry_headers(wait) == {"retry-after": text}
