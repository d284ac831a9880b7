"""What a caller reads when it gets no answer."""

import pytest

from sidecar.core.call import CallFailed
from sidecar.core.refusals import status_of
from sidecar.errors import (
    CredentialRefused,
    ModelGone,
    Rejected,
    ServerFault,
    Throttled,
    Unreachable,
    UpstreamError,
)
from tests.fakes import core_bundles as bundles
from tests.fakes.core import Core, lost


async def test_a_spent_chain_says_who_was_asked_and_how_each_ended() -> None:
    core = Core(lost(Unreachable("one is down")), lost(CredentialRefused("the key of two is dead")))
    with pytest.raises(CallFailed) as failed:
        await core.run()
    message = failed.value.error.message
    assert "alpha@one: unreachable" in message
    assert "beta@two: provider_auth" in message
    record = core.sink.only
    assert (record.outcome, record.status, record.usage, record.cost_usd) == ("provider_auth", 502, None, None)


async def test_nobody_who_fits_is_said_with_the_reasons() -> None:
    core = Core(chain=["alpha"], models={"alpha": bundles.model("one", window=1)})
    with pytest.raises(CallFailed) as failed:
        await core.run()
    assert failed.value.error.status == 422
    assert "alpha@one: context_window" in failed.value.error.message
    assert core.sink.only.outcome == "context_window"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Rejected("x", upstream_status=422), 422),
        (Rejected("x", upstream_status=418), 400),
        (Throttled("x", upstream_status=429), 503),
        (ModelGone("x", upstream_status=404), 502),
        (CredentialRefused("x", upstream_status=401), 502),
        (ServerFault("x", upstream_status=500), 502),
    ],
)
def test_the_caller_sees_the_provider_s_status_only_where_it_can_act_on_it(error: UpstreamError, expected: int) -> None:
    assert status_of(error) == expected
