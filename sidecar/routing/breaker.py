"""One target's circuit breaker: closed, open, half-open. State without I/O: the caller brings the time.

Opens after five failures in a row, or when half of at least twenty calls in thirty seconds failed. A rest lasts five
seconds, doubling up to five minutes while its probes fail (the figures of Finagle's failure accrual and
resilience4j's failure rate). After it one call is let through as a probe, and after that one three more.
"""

OPEN_AFTER_FAILURES = 5
WINDOW_SECONDS = 30.0
FEWEST_CALLS, FAILED_SHARE = 20, 0.5

FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 300.0
MOST_DOUBLINGS = 10
"""More would change nothing: the rest is as long as it gets."""
SPREAD = 0.2
"""Rests differ by up to a fifth either way, so that many sidecars do not probe at one moment."""

PROBES_AFTER_THE_FIRST = 3
SLOTS = 10


class Window:
    """Calls and failures of the last thirty seconds, in ten slots."""

    def __init__(self) -> None:
        self._slots = [[-1, 0, 0] for _ in range(SLOTS)]

    def add(self, now: float, *, failed: bool) -> None:
        number = int(now * SLOTS / WINDOW_SECONDS)
        slot = self._slots[number % SLOTS]
        if slot[0] != number:
            slot[:] = [number, 0, 0]
        slot[1] += 1
        slot[2] += failed

    def mostly_failed(self, now: float) -> bool:
        oldest = int(now * SLOTS / WINDOW_SECONDS) - SLOTS
        recent = [slot for slot in self._slots if slot[0] > oldest]
        calls, failures = sum(slot[1] for slot in recent), sum(slot[2] for slot in recent)
        return calls >= FEWEST_CALLS and failures >= calls * FAILED_SHARE


class Breaker:
    """`enter` before an attempt; then exactly one of `failed`, `succeeded` and `left`, with what `enter` had said."""

    def __init__(self) -> None:
        self.until: float | None = None
        """End of the rest; None while closed."""
        self._failures = 0
        self._doublings = 0
        self._probing = 0
        """Probes under way."""
        self._passed = 0
        """Probes that succeeded since the rest ended."""
        self._window = Window()

    def blocks(self, now: float) -> bool:
        """Whether a call must not be made: at rest, or as many probes are under way as there may be."""
        if self.until is None:
            return False
        return now < self.until or self._probing >= (PROBES_AFTER_THE_FIRST if self._passed else 1)

    def enter(self) -> bool:
        """A call is made. True: it is a probe."""
        if self.until is None:
            return False
        self._probing += 1
        return True

    def failed(self, now: float, jitter: float, *, is_probe: bool) -> None:
        """`jitter` is drawn from 0 to 1."""
        if is_probe:
            self._probing -= 1
        elif self.until is not None:
            return  # it was under way when the breaker opened: the same outage
        self._failures += 1
        self._window.add(now, failed=True)
        if is_probe or self._failures >= OPEN_AFTER_FAILURES or self._window.mostly_failed(now):
            self._open(now, jitter)

    def succeeded(self, now: float, *, is_probe: bool) -> None:
        if is_probe:
            self._probing -= 1
            self._passed += 1
            self.until = min(now, self.until or now)  # a last resort may have come before its rest was over
            if self._passed > PROBES_AFTER_THE_FIRST:
                self.until, self._passed = None, 0
        elif self.until is None:
            self._failures = 0
            self._window.add(now, failed=False)

    def left(self, *, is_probe: bool) -> None:
        """The call ended without saying anything of the target: its caller left, or was itself at fault."""
        if is_probe:
            self._probing -= 1

    def _open(self, now: float, jitter: float) -> None:
        if self.until is None:
            self._doublings = 0
        elif now >= self.until:  # else a retry, a pin or another probe met the same outage, which is no longer for it
            self._doublings = min(self._doublings + 1, MOST_DOUBLINGS)
        rest = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2.0**self._doublings)
        self.until = now + rest * (1 - SPREAD + 2 * SPREAD * jitter)
        self._failures = self._passed = 0
        self._window = Window()
