"""Whether the shared store is asked at all. The caller brings the time."""

OPEN_AFTER_FAILURES = 5
SHORTEST_REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 5.0


class StoreBreaker:
    """Closed until five questions in a row went unanswered; then open until a probe is answered."""

    def __init__(self) -> None:
        self._failures = 0

    @property
    def is_open(self) -> bool:
        return self._failures >= OPEN_AFTER_FAILURES

    def failed(self) -> bool:
        """Whether it is open now."""
        self._failures += 1
        return self.is_open

    def answered(self) -> None:
        self._failures = 0

    @staticmethod
    def rest_seconds(jitter: float) -> float:
        """Until the next probe; spread, so that a fleet does not come back as one."""
        return SHORTEST_REST_SECONDS + (LONGEST_REST_SECONDS - SHORTEST_REST_SECONDS) * jitter
