"""What a sidecar holds of a budget: enough or not, for how long, and when the store must be told."""

from sidecar.limits.holdings import HOLD_SECONDS, RENEW_SECONDS, SPARE_SECONDS, HoldAsk, HoldGrant, Holding

NOW = 100.0


def asked(holding: Holding, *, keep: int = 0, more: int = 10, spent: int = 0, now: float = NOW) -> HoldAsk:
    return holding.ask("k", 1_000, 0, spent=spent, keep=keep, more=more, sidecars=3, least=5, key_seconds=60, now=now)


def test_what_is_held_covers_calls_in_flight_and_what_is_spent_but_not_told() -> None:
    holding = Holding()
    assert not holding.covers(1, 0, NOW)
    holding.granted(asked(holding), HoldGrant(True, 50, 0, 0), NOW, NOW, 2.0)
    assert (holding.covers(50, 0, NOW), holding.covers(51, 0, NOW)) == (True, False)
    assert (holding.covers(30, 20, NOW), holding.covers(31, 20, NOW)) == (True, False)


def test_nothing_is_used_while_a_question_is_open_or_after_one_went_unanswered_or_out_of_time() -> None:
    holding = Holding()
    holding.granted(asked(holding), HoldGrant(True, 50, 0, 0), NOW, NOW, 2.0)
    assert holding.covers(1, 0, NOW + HOLD_SECONDS - SPARE_SECONDS - 0.1)
    assert not holding.covers(1, 0, NOW + HOLD_SECONDS - SPARE_SECONDS)
    asked(holding)
    assert not holding.covers(1, 0, NOW)
    holding.failed()
    assert not holding.covers(1, 0, NOW)


def test_a_refusal_is_believed_for_a_while() -> None:
    holding = Holding()
    holding.granted(asked(holding, more=10), HoldGrant(False, 0, 0, 995), NOW, NOW, 2.0)
    assert (holding.closed_seconds(10, NOW + 1), holding.closed_seconds(9, NOW + 1)) == (1.0, 0.0)
    assert holding.closed_seconds(10, NOW + 2) == 0.0


def test_the_store_is_told_what_was_spent_and_given_back_what_is_idle() -> None:
    holding = Holding()
    assert not holding.is_due(0, 0, NOW)
    first = asked(holding, spent=7)
    assert (first.told, first.spent, first.number, first.parts) == (0, 7, 1, 12)
    assert not holding.is_due(0, 9, NOW + RENEW_SECONDS)
    holding.granted(first, HoldGrant(True, 50, 7, 0), NOW, NOW, 2.0)
    assert not holding.is_due(0, 7, NOW + RENEW_SECONDS - 1)
    assert holding.is_due(0, 7, NOW + RENEW_SECONDS)
    rest = asked(holding, more=0, spent=9, now=NOW + RENEW_SECONDS)
    assert (rest.need, rest.parts, rest.told, rest.number) == (0, 0, 7, 2)
    holding.granted(rest, HoldGrant(True, 0, 9, 0), NOW, NOW, 2.0)
    assert not holding.is_due(0, 9, NOW + 100)
    assert holding.is_due(3, 9, NOW + 100)
