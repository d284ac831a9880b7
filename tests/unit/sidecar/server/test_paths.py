"""What is asked at a path."""

import pytest

from sidecar.dialects.base import BODY_ALONE
from sidecar.server.paths import CALL_PATHS, POST_PATHS, SERVED_PATHS, served_at


@pytest.mark.parametrize("path", POST_PATHS)
def test_every_path_that_is_listed_is_served(path: str) -> None:
    found = served_at(path.replace("{model}", "models/a%2Fb"))
    assert found is not None
    served, in_path = found
    assert served is POST_PATHS[path]
    if "{model}" in path:
        assert (in_path.model, in_path.method) == ("models/a/b", path.rpartition(":")[2])
    else:
        assert in_path is BODY_ALONE


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/",
        "/v1/chat",
        "/v1/models/chat",
        "/v1beta/models/chat:embed",
        "/v2/models/chat:countTokens",
        "/",
    ],
)
def test_every_other_path_is_none_of_a_call(path: str) -> None:
    assert served_at(path) is None


def test_a_count_is_no_call_and_is_shown_all_the_same() -> None:
    counts = {path for path, served in POST_PATHS.items() if served.counting is not None}
    assert counts == {
        "/v1/messages/count_tokens", "/v1/models/{model}:countTokens", "/v1beta/models/{model}:countTokens",
    }  # fmt: skip
    assert not counts & set(CALL_PATHS)
    assert counts <= set(SERVED_PATHS)
