"""What does not fit or cannot be sent is dropped and counted; a call never waits for it."""

import pytest

from sidecar.telemetry.otel_settings import OtelSettings
from sidecar.telemetry.otlp import OtlpCalls
from tests.fakes.records import record


def calls(*, spans: bool = False, queue: int = 9) -> OtlpCalls:
    return OtlpCalls("s-1", lambda _model, _provider: None, OtelSettings(spans=spans, metrics=False, queue=queue))


def test_calls_that_find_the_queue_full_are_counted() -> None:
    otlp = calls(queue=2)
    for number in range(5):
        otlp.observe(record(f"pm-{number}"))
    assert otlp.dropped_calls == 3
    otlp.start()
    otlp.close()
    assert otlp.dropped_calls == 3


def test_spans_that_no_collector_takes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    otlp = calls(spans=True)
    otlp.observe(record("pm-1"))
    otlp.start()
    otlp.close()
    assert (otlp.dropped_calls, otlp.dropped_spans) == (0, 2)


def test_a_provider_is_told_the_samplers_word(monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls().context_for("pm-1", {}, 0)["traceparent"].endswith("-01")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    silent = calls()
    assert silent.context_for("pm-1", {}, 0)["traceparent"].endswith("-00")
    caller = f"00-{'a' * 32}-{'b' * 16}-01"
    onward = silent.context_for("pm-1", {"traceparent": caller, "tracestate": "v=1"}, 0)
    assert onward["traceparent"].startswith(f"00-{'a' * 32}-")
    assert onward["traceparent"].endswith("-01")
    assert "b" * 16 not in onward["traceparent"]
    assert onward["tracestate"] == "v=1"
