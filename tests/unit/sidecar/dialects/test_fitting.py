"""What a compatible host calls otherwise or refuses: renamed or left out, with every other byte as it was."""

import pytest

from sidecar.dialects.base import Encoded
from sidecar.dialects.fitting import fitted

NAMES = {"max_completion_tokens": "max_tokens", "seed": "random_seed", "user": None, "stream_options": None}


@pytest.mark.parametrize(
    ("body", "expected", "dropped"),
    [
        (b'{ "model" : "m", "temperature": 1.50 }', b'{ "model" : "m", "temperature": 1.50 }', ()),
        (b'{"max_completion_tokens": 5,"a":1.50}', b'{"a":1.50,"max_tokens":5}', ()),
        (b'{"max_tokens":9,"max_completion_tokens":5}', b'{"max_tokens":5}', ()),
        (b'{"seed":7,"user":"u","n":1}', b'{"n":1,"random_seed":7}', ("user",)),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', b'{"stream":true}', ()),
    ],
)
def test_fields_as_the_host_takes_them(body: bytes, expected: bytes, dropped: tuple[str, ...]) -> None:
    assert fitted(Encoded(body, ("top_k",)), NAMES) == Encoded(expected, ("top_k", *dropped))


def test_two_names_that_change_places_do_not_overwrite_each_other() -> None:
    assert fitted(Encoded(b'{"a":1,"b":2}'), {"a": "b", "b": "a"}).body == b'{"b":1,"a":2}'
