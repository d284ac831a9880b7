"""What a call will use, guessed before it is made: reserved first, settled with what it really used."""

from collections.abc import Iterable
from decimal import Decimal

from sidecar.routing.plan import ASSUMED_OUTPUT_TOKENS, estimate_usd
from sidecar.routing.snapshot import Target

STEP_UP, STEP_DOWN = 1.095, 0.995
"""Nineteen answers shorter for each one longer keep the value where it is: the 95th percentile."""


class OutputLengths:
    """The length that 19 of 20 answers of a use case stay under, learned as they end."""

    def __init__(self) -> None:
        self._tokens: dict[str, float] = {}

    def expect(self, use_case: str, max_output_tokens: int | None) -> int:
        expected = int(self._tokens.get(use_case, ASSUMED_OUTPUT_TOKENS))
        return expected if max_output_tokens is None else min(expected, max_output_tokens)

    def learn(self, use_case: str, output_tokens: int) -> None:
        known = self._tokens.get(use_case, float(ASSUMED_OUTPUT_TOKENS))
        self._tokens[use_case] = max(1.0, known * (STEP_UP if output_tokens > known else STEP_DOWN))


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
