"""What Prometheus asks of names, units and help, as its own `promtool check metrics` looks at it."""

import re
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric

NAME = re.compile(r"pointsman_[a-z][a-z0-9_]*")
NOT_BASE = {
    *("nanoseconds", "microseconds", "milliseconds", "ms", "us", "minutes", "hours", "days"),
    *("kilobytes", "kib", "kb", "megabytes", "mib", "mb"),
    *("percent", "percentage", "cents", "dollars"),
}
"""Base units are seconds, bytes, ratios from 0 to 1, and here US dollars."""
SERIES = 200
"""Of one metric, for the few calls of a test: more means a label that is not bounded."""


def lint(metrics: Iterable[Metric]) -> Iterator[str]:
    """`metrics` as parsed: a counter's name has lost its `_total`."""
    for metric in metrics:
        words = set(metric.name.split("_"))
        if not NAME.fullmatch(metric.name):
            yield f"{metric.name}: not pointsman_ and lower case words"
        if not metric.documentation:
            yield f"{metric.name}: no help"
        if words & NOT_BASE:
            yield f"{metric.name}: {words & NOT_BASE} is no base unit"
        if metric.type != "counter" and metric.name.endswith("_total"):
            yield f"{metric.name}: ends in _total and is a {metric.type}"
        if metric.type not in ("histogram", "summary") and metric.name.endswith(("_count", "_sum", "_bucket")):
            yield f"{metric.name}: ends as a histogram's series do"
        if metric.type not in ("counter", "gauge", "histogram") or metric.type in words:
            yield f"{metric.name}: of type {metric.type}"
        yield from _samples(metric)


def _samples(metric: Metric) -> Iterator[str]:
    if metric.type == "counter" and any(not sample.name.endswith("_total") for sample in metric.samples):
        yield f"{metric.name}: a counter without _total"
    if len({frozenset(sample.labels.items()) for sample in metric.samples}) > SERIES:
        yield f"{metric.name}: more than {SERIES} series"
    for sample in metric.samples:
        for label in sample.labels.keys() - {"le"}:
            if not re.fullmatch(r"[a-z][a-z_]*", label):
                yield f"{sample.name}: a label named {label}"
