"""What Prometheus reads at `/metrics`: counters bumped where things happen, gauges read when they are asked for."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.ledger.store import Health
from controller.publish import Publisher
from schemas.status import Fleet

disable_created_metrics()  # type: ignore[no-untyped-call]  # gauges of when each counter began: nobody asks


class Metrics:
    def __init__(self, publisher: Publisher, fleet: Callable[[], Fleet], ledger: Callable[[], Health]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_State(publisher, fleet, ledger))
        self._looks = Counter(
            "pointsman_revisions", "Revisions by what became of them; unavailable: the source could not be read.",
            ["outcome"], registry=self._registry,
        )  # fmt: skip
        for outcome in ("accepted", "refused", "unavailable"):
            self._looks.labels(outcome)
        self.watchers = Gauge("pointsman_watchers", "Open watch streams.", registry=self._registry)
        self.dropped_watchers = Counter(
            "pointsman_watchers_dropped", "Watch streams closed because their client did not read.",
            registry=self._registry,
        )  # fmt: skip
        self.booked = Counter("pointsman_records_booked", "Call records booked.", registry=self._registry)
        self.known = Counter(
            "pointsman_records_known", "Call records that had been booked before.", registry=self._registry
        )
        self.unbooked_batches = Counter(
            "pointsman_batches_unbooked", "Batches that could not be booked; their sidecars send them again.",
            registry=self._registry,
        )  # fmt: skip
        self.booking_seconds = Histogram(
            "pointsman_booking_seconds", "From a whole batch received to its durable commit.",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5), registry=self._registry,
        )  # fmt: skip

    def tell_reviews(self, are_overdue: Callable[[], Mapping[str, bool]]) -> None:
        """`are_overdue`: by use case that has a review date."""
        self._registry.register(_Reviews(are_overdue))

    def note_revision(self, outcome: str) -> None:
        self._looks.labels(outcome).inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Reviews(Collector):
    def __init__(self, are_overdue: Callable[[], Mapping[str, bool]]) -> None:
        self._are_overdue = are_overdue

    def collect(self) -> Iterator[Metric]:
        overdue = GaugeMetricFamily(
            "pointsman_review_overdue", "1 where the day by which a use case is to be reviewed is past, else 0.",
            labels=["use_case"],
        )  # fmt: skip
        for use_case, is_overdue in sorted(self._are_overdue().items()):
            overdue.add_metric([use_case], int(is_overdue))
        yield overdue


class _State(Collector):
    def __init__(self, publisher: Publisher, fleet: Callable[[], Fleet], ledger: Callable[[], Health]) -> None:
        self._publisher = publisher
        self._fleet = fleet
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        publication = self._publisher.current
        seq = 0 if publication is None else publication.pointer.seq
        size = 0 if publication is None else publication.pointer.size
        yield GaugeMetricFamily("pointsman_bundle_seq", "Sequence of the current pointer; 0: none yet.", value=seq)
        yield GaugeMetricFamily("pointsman_bundle_bytes", "Size of the current bundle.", value=size)
        sidecars = GaugeMetricFamily("pointsman_sidecars", "Sidecars by their state in the fleet.", labels=["state"])
        states = Tally(member.state for member in self._fleet().sidecars)
        for state in ("SYNCED", "BEHIND", "REJECTED", "OFFLINE"):
            sidecars.add_metric([state], states[state])
        yield sidecars
        canaries = GaugeMetricFamily(
            "pointsman_canary_ratio", "Share of a use case's traffic that its canary has, 0 to 1, by where it stands.",
            labels=["use_case", "model", "state"],
        )  # fmt: skip
        for canary in self._publisher.channel.canaries:
            canaries.add_metric([canary.use_case, canary.model, canary.state], float(canary.percent / 100))
        yield canaries
        ledger = self._ledger()
        yield GaugeMetricFamily(
            "pointsman_ledger_available", "1 while the ledger's database answers, else 0.", value=int(ledger.available)
        )
        yield GaugeMetricFamily(
            "pointsman_ledger_waiting_batches", "Batches that wait to be booked.", value=ledger.waiting_batches
        )
