"""What one record adds to which metric."""

from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.record import AttemptRecord, Usage
from sidecar.telemetry.metrics import Metrics
from tests.fakes.records import record


def value(metrics: Metrics, name: str, **labels: str) -> float:
    families = text_string_to_metric_families("".join(metrics.pieces()))
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in found if labels.items() <= sample.labels.items())


def test_a_call_is_counted_with_its_money_and_tokens() -> None:
    metrics = Metrics()
    usage = Usage(10, 5, cache_read_tokens=4, cache_write_tokens=3, reasoning_tokens=2)
    metrics.observe(record("a", usage=usage, wasted_usd=Decimal("0.25"), seconds=2.0, first_token_seconds=0.5))
    for name, labels, expected in [
        ("pointsman_calls_total", {"use_case": "chat", "outcome": "ok", "model": "alpha", "provider": "one"}, 1),
        ("pointsman_attempts_total", {"outcome": "ok"}, 1),
        ("pointsman_cost_usd_total", {}, 0.1),
        ("pointsman_wasted_usd_total", {"use_case": "chat"}, 0.25),
        ("pointsman_call_duration_seconds_sum", {}, 2.0),
        ("pointsman_first_token_seconds_count", {}, 1),
        *(
            ("pointsman_tokens_total", {"type": kind}, tokens)
            for kind, tokens in [("input", 10), ("output", 5), ("cache_read", 4), ("cache_write", 3), ("reasoning", 2)]
        ),
    ]:
        assert value(metrics, name, **labels) == pytest.approx(expected), name


def test_an_unknown_price_is_loud_and_adds_no_money() -> None:
    metrics = Metrics()
    metrics.observe(record("a", cost_usd=None))
    assert value(metrics, "pointsman_unpriced_calls_total") == 1
    assert value(metrics, "pointsman_cost_usd_total") == 0


def test_a_failed_attempt_of_unknown_cost_is_loud_too() -> None:
    metrics = Metrics()
    lost = AttemptRecord("beta", "two", "primary", "stream_cut", 1.0, usage=Usage(10, 1))
    metrics.observe(record("a", attempts=(lost, AttemptRecord("alpha", "one", "fallback", "ok", 1.0, usage=Usage(1, 1),
                                                              cost_usd=Decimal("0.1")))))  # fmt: skip
    assert value(metrics, "pointsman_unpriced_calls_total") == 1
    assert value(metrics, "pointsman_unpriced_calls_total", use_case="chat", model="beta", provider="two") == 1


def test_a_call_of_unknown_cost_is_counted_once() -> None:
    metrics = Metrics()
    tried = AttemptRecord("alpha", "one", "primary", "ok", 1.0, usage=Usage(1, 1, service="priority"))
    metrics.observe(record("a", usage=tried.usage, cost_usd=None, attempts=(tried,)))
    assert value(metrics, "pointsman_unpriced_calls_total") == 1


def test_a_call_without_an_answer_is_not_unpriced() -> None:
    metrics = Metrics()
    metrics.observe(record("a", "unreachable", usage=None, cost_usd=None))
    assert value(metrics, "pointsman_unpriced_calls_total") == 0
    assert value(metrics, "pointsman_calls_total", outcome="unreachable") == 1


def test_refusals_and_gauges_stand_on_the_page() -> None:
    metrics = Metrics()
    metrics.refused("foreign_host")
    metrics.gauge("x", "X.", ("a",), lambda: {("b",): 2.0})
    assert value(metrics, "pointsman_refused_requests_total", code="foreign_host") == 1
    assert value(metrics, "x", a="b") == 2


def test_decisions_of_limits_are_counted_by_rule_and_verdict() -> None:
    metrics = Metrics()
    metrics.limited("limit.use_case.chat.concurrency", "allowed")
    metrics.limited("limit.use_case.chat.concurrency", "allowed")
    metrics.limited("limit.use_case.chat.concurrency", "shadow_refused")
    name, rule = "pointsman_limit_decisions_total", "limit.use_case.chat.concurrency"
    assert value(metrics, name, rule=rule, verdict="allowed") == 2
    assert value(metrics, name, rule=rule, verdict="shadow_refused") == 1


def test_what_became_of_shadows_is_counted_apart_from_calls() -> None:
    metrics = Metrics()
    metrics.shadowed("chat", "sent", "")
    metrics.shadowed("chat", "skipped", "queue_full")
    metrics.shadow_booked(record("a.shadow", quality={"complete": "fail"}, wasted_usd=Decimal("0.2")))
    assert value(metrics, "pointsman_shadow_total", use_case="chat", outcome="skipped", reason="queue_full") == 1
    assert value(metrics, "pointsman_shadow_total") == 2
    assert value(metrics, "pointsman_shadow_cost_usd_total", model="alpha") == pytest.approx(0.3)
    assert value(metrics, "pointsman_shadow_checks_total", check="complete", result="fail") == 1
    assert value(metrics, "pointsman_calls_total") == 0
