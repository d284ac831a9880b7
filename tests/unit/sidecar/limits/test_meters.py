"""A rule's counting over reloads and a changing fleet."""

import pytest

from schemas.bundle import Limits
from sidecar.limits.meters import RateMeter, SlotMeter
from sidecar.limits.rules import LimitRule, rules_of

NOW = 100.0


def rule(limit: int) -> LimitRule:
    return rules_of("use_case", "chat", Limits(requests_per_minute=limit))["requests_per_minute"]


def test_an_edited_rule_goes_on_with_what_is_owed() -> None:
    meter = RateMeter(rule(600))
    meter.alone(1, NOW).take(20, NOW)
    meter.adopt(rule(60), NOW)
    assert meter.alone(1, NOW).reset_seconds(NOW) == pytest.approx(20)
    assert meter.too_large(61)
    assert not meter.too_large(60)


def test_a_share_is_the_limit_over_the_fleet() -> None:
    meter = RateMeter(rule(600))
    meter.alone(1, NOW).take(20, NOW)
    assert meter.alone(10, NOW).reset_seconds(NOW) == pytest.approx(20)
    meter.adopt(rule(1200), NOW)
    assert meter.alone(10, NOW).reset_seconds(NOW) == pytest.approx(10)


@pytest.mark.parametrize(("limit", "sidecars", "places"), [(10, 1, 10), (10, 3, 3), (10, 10, 1), (10, 50, 1)])
def test_a_share_of_places_is_one_at_least(limit: int, sidecars: int, places: int) -> None:
    meter = SlotMeter(rules_of("model", "m", Limits(concurrency=limit))["concurrency"])
    assert meter.alone(sidecars) == places
