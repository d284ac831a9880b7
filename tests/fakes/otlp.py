"""An OpenTelemetry collector as far as its door: takes OTLP over HTTP and decodes it with the protocol's own types."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.fakes.provider import Received


def spans_in(received: Sequence[Received]) -> list[Span]:
    return [
        span
        for one in received
        if one.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(one.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def resources_in(received: Sequence[Received]) -> Iterator[Mapping[str, Any]]:
    for one in received:
        if one.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(one.body).resource_spans:
                yield attributes_of(resource.resource.attributes)


def metrics_in(received: Sequence[Received]) -> dict[str, Metric]:
    """The last of each name: totals are cumulative."""
    return {
        metric.name: metric
        for one in received
        if one.path == "/v1/metrics"
        for resource in ExportMetricsServiceRequest.FromString(one.body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def attributes_of(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    kind = pair.value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return tuple(value.string_value for value in pair.value.array_value.values)
    return getattr(pair.value, kind)
