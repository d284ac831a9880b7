"""The shorter of what a use case gives and what its caller waits."""

import pytest

from sidecar.routing.deadline import deadline_seconds


@pytest.mark.parametrize(
    ("headers", "stream", "seconds"),
    [
        ({}, False, 60.0),
        ({"x-pointsman-deadline": "2.5"}, False, 2.5),
        ({"x-pointsman-deadline": "2.5"}, True, 2.5),
        ({"x-pointsman-deadline": "600"}, False, 60.0),
        ({"x-stainless-read-timeout": "10"}, False, 10.0),
        ({"x-stainless-read-timeout": "10"}, True, 60.0),
        ({"x-stainless-read-timeout": "10", "x-pointsman-deadline": "5"}, False, 5.0),
        ({"x-stainless-read-timeout": "600.0"}, False, 60.0),
        ({"x-pointsman-deadline": "soon"}, False, 60.0),
        ({"x-pointsman-deadline": "-1"}, False, 60.0),
        ({"x-pointsman-deadline": "0"}, False, 60.0),
        ({"x-pointsman-deadline": "nan"}, False, 60.0),
        ({"x-pointsman-deadline": "inf"}, False, 60.0),
    ],
)
def test_deadline(headers: dict[str, str], stream: bool, seconds: float) -> None:
    assert deadline_seconds(60.0, headers, stream=stream) == seconds
