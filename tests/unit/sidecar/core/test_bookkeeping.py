"""What an attempt and a call leave behind: breakers, records, and money that is never lost sight of."""

import pytest

from schemas.bundle import Timeouts
from sidecar.core.bookkeeping import UNHEALTHY
from sidecar.core.call import CallFailed
from sidecar.errors import (
    UpstreamError,
)
from tests.fakes import core_wire as wire
from tests.fakes.core import GOOD, Core, status
from tests.fakes.ports import PARK, Script


async def test_an_answer_without_usage_is_booked_at_the_estimate() -> None:
    core = Core(Script((wire.chat_answer(reports_usage=False),)))
    await core.run()
    record = core.sink.only
    assert record.estimated
    assert record.usage is not None
    assert record.usage.output_tokens == 50  # what the request allows
    assert record.cost_usd is not None


async def test_a_plain_answer_that_never_came_may_be_billed_and_is_booked_as_wasted() -> None:
    core = Core(Script((PARK,)), GOOD, timeouts=Timeouts(deadline=0.2))
    await core.pipeline.run(core.inbound())
    record = core.sink.only
    assert record.attempts[0].estimated
    assert record.wasted_usd == record.attempts[0].cost_usd
    assert record.wasted_usd > 0
    assert not record.estimated


async def test_a_rejected_request_says_nothing_about_the_target() -> None:
    core = Core(status(400))
    for _ in range(8):
        with pytest.raises(CallFailed):
            await core.run()
    assert core.pipeline.books.health.resting(core.clock.monotonic()) == {}


def test_only_words_of_our_own_errors_count_against_a_target() -> None:
    known = {kind.code for kind in _all_subclasses(UpstreamError)}
    assert known >= UNHEALTHY
    assert not UNHEALTHY & {"rejected", "throttled", "provider_auth", "provider_model", "deadline_exceeded"}


def _all_subclasses(kind: type[UpstreamError]) -> set[type[UpstreamError]]:
    return {kind} | {deeper for child in kind.__subclasses__() for deeper in _all_subclasses(child)}
