"""One rule's counting: this sidecar's share, and what the shared store has granted. The caller brings the time."""

from sidecar.limits.blocks import Block
from sidecar.limits.gcra import Gcra
from sidecar.limits.holdings import Holding
from sidecar.limits.rules import TOKENS, LimitRule
from sidecar.limits.slots import Slots


class RateMeter:
    """Requests or tokens per minute."""

    def __init__(self, rule: LimitRule) -> None:
        self.rule = rule
        self.counts_tokens = rule.kind == TOKENS
        self.block = Block()
        self._sidecars = 1
        self._alone = Gcra(rule.limit)

    def adopt(self, rule: LimitRule, now: float) -> None:
        """The rule was edited: what is counted stays, scaled to the new rate."""
        self.rule = rule
        self._alone.change(rule.limit / self._sidecars, now)

    def alone(self, sidecars: int, now: float) -> Gcra:
        """This sidecar's share of the limit."""
        if sidecars != self._sidecars:
            self._sidecars = sidecars
            self._alone.change(self.rule.limit / sidecars, now)
        return self._alone

    def too_large(self, amount: int) -> bool:
        """Never to pass, however long it waits."""
        return amount > self.rule.limit


class SlotMeter:
    """Calls in flight."""

    def __init__(self, rule: LimitRule) -> None:
        self.rule = rule
        self.slots = Slots()
        self.holding = Holding()

    def alone(self, sidecars: int) -> int:
        """This sidecar's share: one call at least, or more sidecars than calls would stop them all."""
        return max(1, self.rule.limit // sidecars)
