"""Every metric of the sidecar, by name. Label values come from the rules or our own words, so series are bounded."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

from schemas.record import CallRecord
from sidecar.accounting.books import OK
from sidecar.limits.rules import Verdict
from sidecar.ports import ShadowOutcome
from sidecar.telemetry.exposition import Counter, CounterRead, Gauge, Histogram, Metric, Reading, pieces

NO_TARGETS: frozenset[tuple[str, str, str]] = frozenset()
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)


class Metrics:
    """A `CallObserver`, a `LimitObserver` and a `ShadowObserver`."""

    def __init__(self) -> None:
        target = ("use_case", "model", "provider")
        self._calls = Counter("pointsman_calls_total", "Calls, by how they ended.", (*target, "outcome", "reason"))
        self._attempts = Counter("pointsman_attempts_total", "Tries at a target.", ("model", "provider", "outcome"))
        self._tokens = Counter("pointsman_tokens_total", "Tokens of answers.", (*target, "type"))
        self._cost = Counter("pointsman_cost_usd_total", "US dollars spent on answers.", target)
        self._wasted = Counter("pointsman_wasted_usd_total", "US dollars spent on failed attempts.", ("use_case",))
        self._unpriced = Counter("pointsman_unpriced_calls_total", "Calls whose price at a target is unknown.", target)
        self._seconds = Histogram("pointsman_call_duration_seconds", "Whole calls.", target, SECONDS)
        self._first = Histogram("pointsman_first_token_seconds", "To a stream's first content.", target, SECONDS)
        self._refused = Counter("pointsman_refused_requests_total", "Refused before any use case.", ("code",))
        self._limits = Counter(
            "pointsman_limit_decisions_total", "What each limit and budget said.", ("rule", "verdict")
        )
        self._quality = Counter("pointsman_quality_checks_total", "Answers checked.", (*target, "check", "result"))
        self._shadows = Counter(
            "pointsman_shadow_total",
            "Calls drawn for a shadow, by what became of it.",
            ("use_case", "outcome", "reason"),
        )
        self._shadow_cost = Counter("pointsman_shadow_cost_usd_total", "US dollars spent on shadows.", target)
        self._shadow_quality = Counter(
            "pointsman_shadow_checks_total", "Shadows' answers checked.", (*target, "check", "result")
        )
        self._all: list[Metric] = [
            self._calls, self._attempts, self._tokens, self._cost, self._wasted, self._unpriced,
            self._seconds, self._first, self._refused, self._limits, self._quality,
            self._shadows, self._shadow_cost, self._shadow_quality,
        ]  # fmt: skip

    def observe(self, record: CallRecord) -> None:
        target = (record.use_case, record.model, record.provider)
        self._calls.add((*target, record.outcome, record.reason))
        self._seconds.observe(target, record.seconds)
        for attempt in record.attempts:
            self._attempts.add((attempt.model, attempt.provider, attempt.outcome))
        for check, result in record.quality.items():
            self._quality.add((*target, check, result))
        if record.first_token_seconds is not None:
            self._first.observe(target, record.first_token_seconds)
        if record.wasted_usd:
            self._wasted.add((record.use_case,), float(record.wasted_usd))
        for unpriced in _unpriced(record):
            self._unpriced.add(unpriced)
        usage = record.usage
        if usage is None:
            return
        self._tokens.add((*target, "input"), usage.input_tokens)
        self._tokens.add((*target, "output"), usage.output_tokens)
        if usage.cache_read_tokens:
            self._tokens.add((*target, "cache_read"), usage.cache_read_tokens)
        if usage.cache_write_tokens:
            self._tokens.add((*target, "cache_write"), usage.cache_write_tokens)
        if usage.reasoning_tokens:
            self._tokens.add((*target, "reasoning"), usage.reasoning_tokens)
        if record.cost_usd is not None:
            self._cost.add(target, float(record.cost_usd))

    def limited(self, rule: str, verdict: Verdict) -> None:
        self._limits.add((rule, verdict))

    def shadowed(self, use_case: str, outcome: ShadowOutcome, reason: str) -> None:
        self._shadows.add((use_case, outcome, reason))

    def shadow_booked(self, record: CallRecord) -> None:
        target = (record.use_case, record.model, record.provider)
        self._shadow_cost.add(target, float((record.cost_usd or 0) + record.wasted_usd))
        for check, result in record.quality.items():
            self._shadow_quality.add((*target, check, result))

    def refused(self, code: str) -> None:
        self._refused.add((code,))

    def gauge(self, name: str, help_text: str, labels: tuple[str, ...], read: Callable[[], Reading]) -> None:
        """Adds a value that is read at each scrape."""
        self._all.append(Gauge(name, help_text, labels, read))

    def counter(self, name: str, help_text: str, labels: tuple[str, ...], read: Callable[[], Reading]) -> None:
        """As `gauge`, of what only grows."""
        self._all.append(CounterRead(name, help_text, labels, read))

    def pieces(self) -> Iterator[str]:
        """The page of all metrics, as `exposition.pieces` gives it."""
        return pieces(self._all)


def _unpriced(record: CallRecord) -> AbstractSet[tuple[str, str, str]]:
    """Targets that billed this call at a price that nobody knows: the one that answered, and those that broke off."""
    if record.cost_usd is not None and len(record.attempts) == 1:
        return NO_TARGETS
    tried = {
        (record.use_case, attempt.model, attempt.provider)
        for attempt in record.attempts
        if attempt.usage is not None and attempt.cost_usd is None
    }
    has_answer = record.usage is not None or record.outcome == OK
    answered = {(record.use_case, record.model, record.provider)} if has_answer and record.cost_usd is None else set()
    return tried | answered
