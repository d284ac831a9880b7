"""Counters, gauges and histograms kept in plain dictionaries, and written in the Prometheus text format 0.0.4.

An observation is one dictionary look-up by a tuple of label values. A scrape gives way to calls after every few lines,
where a client library that builds an object per sample would block every open stream for all of them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from math import inf, isfinite
from typing import Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PIECE_LINES = 64


Reading = dict[tuple[str, ...], float] | Iterator[tuple[tuple[str, ...], float]]


class Metric(Protocol):
    def lines(self) -> Iterator[str]: ...


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))


def _number(value: float) -> str:
    if not isfinite(value):
        return {inf: "+Inf", -inf: "-Inf"}.get(value, "NaN")
    return str(int(value)) if value == int(value) else repr(value)


class Counter:
    def __init__(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> None:
        self._name, self._help, self._label_names = name, help_text, labels
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, labels: tuple[str, ...], amount: float = 1.0) -> None:
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self._name} {self._help}\n# TYPE {self._name} counter\n"
        for values, amount in list(self.values.items()):
            inside = _labels(self._label_names, values)
            yield f"{self._name}{'{' + inside + '}' if inside else ''} {_number(amount)}\n"


class Gauge:
    """Read when it is scraped: a mapping of label values, or such pairs one by one where there may be many."""

    kind = "gauge"

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...], read: Callable[[], Reading]) -> None:
        self._name, self._help, self._label_names, self._read = name, help_text, labels, read

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self._name} {self._help}\n# TYPE {self._name} {self.kind}\n"
        found = self._read()
        for values, amount in found.items() if isinstance(found, dict) else found:
            inside = _labels(self._label_names, values)
            yield f"{self._name}{'{' + inside + '}' if inside else ''} {_number(amount)}\n"


class CounterRead(Gauge):
    """Counted elsewhere, and read when it is scraped."""

    kind = "counter"


class Histogram:
    def __init__(self, name: str, help_text: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        self._name, self._help, self._label_names, self._bounds = name, help_text, labels, bounds
        self._les = (*(repr(bound) for bound in bounds), "+Inf")
        self.series: dict[tuple[str, ...], list[float]] = {}
        """Label values → a count per bucket, not yet added up, then the sum."""

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        series = self.series.get(labels)
        if series is None:
            series = self.series[labels] = [0.0] * (len(self._bounds) + 2)
        series[bisect_left(self._bounds, value)] += 1
        series[-1] += value

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self._name} {self._help}\n# TYPE {self._name} histogram\n"
        for values, series in list(self.series.items()):
            inside = _labels(self._label_names, values)
            separator = "," if inside else ""
            total = 0.0
            for le, count in zip(self._les, series, strict=False):
                total += count
                yield f'{self._name}_bucket{{{inside}{separator}le="{le}"}} {_number(total)}\n'
            yield f"{self._name}_count{{{inside}}} {_number(total)}\n{self._name}_sum{{{inside}}} {series[-1]!r}\n"


def pieces(metrics: Sequence[Metric]) -> Iterator[str]:
    """The page in pieces of some lines, between which calls can go on: each series as it stands when its turn comes."""
    lines: list[str] = []
    for metric in metrics:
        for line in metric.lines():
            lines.append(line)
            if len(lines) == PIECE_LINES:
                yield "".join(lines)
                lines.clear()
    yield "".join(lines)
