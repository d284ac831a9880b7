"""The standard variables: what is taken, and what is refused in words."""

import pytest

from sidecar.telemetry.otel_settings import OtelSettings, read_otel


def test_what_is_not_said_is_as_the_specification_has_it() -> None:
    assert read_otel({"OTEL_TRACES_EXPORTER": ""}) == OtelSettings(True, True, 2048, 5.0)


def test_one_signal_alone_may_be_sent() -> None:
    found = read_otel(
        {"OTEL_METRICS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BSP_MAX_QUEUE_SIZE": "9"}
    )
    assert found == OtelSettings(True, False, 9, 0.05)
    mixed = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    assert read_otel({**mixed, "OTEL_METRICS_EXPORTER": "none"}).spans


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", 'is otlp or none here, not "zipkin"'),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", 'is spoken as http/protobuf here, not "grpc"'),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", 'not "http/json"'),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", 'above 0, not "many"'),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", 'above 0, not "0"'),
    ],
)
def test_a_variable_that_cannot_be_meant_is_refused_at_the_start(name: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_otel({name: value})
