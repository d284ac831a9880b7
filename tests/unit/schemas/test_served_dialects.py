"""What `check` says about dialects is what the sidecar can do."""

from schemas.bundle import SERVED_DIALECTS
from sidecar.dialects.registry import DIALECTS


def test_the_served_dialects_are_those_that_the_sidecar_has() -> None:
    assert set(DIALECTS) == SERVED_DIALECTS
