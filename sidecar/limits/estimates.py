"""What a call will use, guessed before it is made: reserved first, settled with what it really used."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from sidecar.routing.plan import ASSUMED_OUTPUT_TOKENS, estimate_usd
from sidecar.routing.snapshot import Target

REMEMBERED = 128
"""Answers of a use case that its expectation rests on: enough for a 95th percentile, few enough to follow a change."""
FEW = 20
"""Fewer do not show how long the longest of 20 is."""


class _Answers:
    """The newest lengths, also in order."""

    __slots__ = ("by_length", "newest")

    def __init__(self) -> None:
        self.newest: deque[int] = deque()
        self.by_length: list[int] = []

    def add(self, length: int) -> None:
        if len(self.newest) == REMEMBERED:
            del self.by_length[bisect_left(self.by_length, self.newest.popleft())]
        self.newest.append(length)
        insort(self.by_length, length)

    def expected(self) -> int:
        if len(self.by_length) < FEW:
            return 2 * self.by_length[-1]
        return self.by_length[len(self.by_length) * 19 // 20]


class OutputLengths:
    """The length that 19 of 20 answers of a use case stay under, learned as they end."""

    def __init__(self) -> None:
        self._answers: dict[str, _Answers] = {}

    def expect(self, use_case: str, max_output_tokens: int | None) -> int:
        known = self._answers.get(use_case)
        expected = ASSUMED_OUTPUT_TOKENS if known is None else max(1, known.expected())
        return expected if max_output_tokens is None else min(expected, max_output_tokens)

    def learn(self, use_case: str, output_tokens: int) -> None:
        known = self._answers.get(use_case)
        if known is None:
            known = self._answers[use_case] = _Answers()
        known.add(output_tokens)


def reserve_usd(targets: Iterable[Target], input_tokens: int, output_tokens: int | None, day: str) -> Decimal:
    """What a call could cost at the dearest of its targets.

    Args:
        output_tokens: None where nothing may be exceeded and the call names no maximum: as much as the target can say.

    A target without a price adds nothing: what it costs is not known, which `check` and a gauge say aloud.
    """
    costs = [
        estimate_usd(price, input_tokens, target.max_output_tokens if output_tokens is None else output_tokens)
        for target in targets
        if (price := target.price_on(day)) is not None
    ]
    return max(costs, default=Decimal(0))
