"""How many retries a provider is spared: no retry storm is ever ours. State without I/O: the caller brings the time.

Retries, hedges and fall-backs to the same provider together may be a fifth of the first attempts of the last ten
seconds, and three a second besides, so that a quiet sidecar may retry at all (Finagle's and Envoy's retry budgets).
"""

from collections import deque

WINDOW_SECONDS = 10.0
SHARE = 0.2
FLOOR_PER_SECOND = 3.0


class _Account:
    __slots__ = ("again", "firsts")

    def __init__(self) -> None:
        self.firsts: deque[float] = deque()
        self.again: deque[float] = deque()


class RetryBudget:
    """By provider."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def note_first(self, provider: str, now: float) -> None:
        """A call's first attempt at this provider."""
        account = self._accounts.get(provider)
        if account is None:
            account = self._accounts[provider] = _Account()
        account.firsts.append(now)
        _forget(account.firsts, now)

    def take(self, provider: str, now: float) -> bool:
        """Whether one more attempt may be made that repeats one; if so it is counted."""
        account = self._accounts.setdefault(provider, _Account())
        _forget(account.firsts, now)
        _forget(account.again, now)
        if len(account.again) + 1 > SHARE * len(account.firsts) + FLOOR_PER_SECOND * WINDOW_SECONDS:
            return False
        account.again.append(now)
        return True


def _forget(times: deque[float], now: float) -> None:
    while times and times[0] <= now - WINDOW_SECONDS:
        times.popleft()
