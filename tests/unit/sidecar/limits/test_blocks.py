"""Blocks of a rate: spent here while they last, never beyond their time, and what is unused goes back."""

import pytest

from sidecar.limits.blocks import BLOCK_SECONDS, Block, RateAsk, RateGrant


def granted(block: Block, need: int, amount: int, now: float = 100.0, wait: float = 0.0) -> RateAsk:
    ask = block.ask("k", 600, need, 0, now)
    block.granted(ask, RateGrant(amount, wait, 7, 1.5), now, now)
    return ask


def test_a_block_lasts_until_it_is_spent_or_its_time_is_over() -> None:
    block = Block()
    granted(block, 1, 5)
    assert block.covers(5, 100.0)
    assert not block.covers(6, 100.0)
    assert block.covers(5, 100.0 + BLOCK_SECONDS - 0.001)
    assert not block.covers(1, 100.0 + BLOCK_SECONDS)
    block.spend(3, 101.0)
    assert (block.covers(2, 101.0), block.covers(3, 101.0)) == (True, False)
    assert (block.remaining(101.0), block.reset_seconds(101.0)) == (9, 0.5)


def test_what_is_left_goes_back_with_the_next_question_unless_its_time_is_over() -> None:
    block = Block()
    granted(block, 1, 5)
    assert block.ask("k", 600, 9, 0, 101.0).back == 5
    assert not block.covers(1, 101.0)
    granted(block, 1, 5, now=200.0)
    assert block.ask("k", 600, 9, 0, 200.0 + BLOCK_SECONDS).back == 0


def test_a_refusal_is_believed_for_as_much_and_more_and_as_long_as_it_says() -> None:
    block = Block()
    granted(block, 50, 0, wait=3.0)
    assert (block.closed_seconds(50, 101.0), block.closed_seconds(60, 101.0)) == (2.0, 2.0)
    assert (block.closed_seconds(49, 101.0), block.closed_seconds(50, 103.0)) == (0.0, 0.0)
    granted(block, 10, 10)
    assert block.closed_seconds(50, 101.0) == 0.0


@pytest.mark.parametrize(
    ("reserved", "used", "later", "back"), [(10, 4, 0.0, 11), (10, 4, 10.0, 6), (10, 25, 0.0, -10), (10, 25, 10.0, -15)]
)
def test_a_settled_reservation_corrects_the_block_or_what_the_store_is_owed(
    reserved: int, used: int, later: float, back: int
) -> None:
    block = Block()
    granted(block, 1, 15)
    block.spend(reserved, 100.0)
    block.correct(reserved - used, 100.0 + later)
    assert block.ask("k", 600, 1, 0, 100.0 + later).back == back


def test_an_unanswered_question_keeps_what_is_owed_and_loses_what_goes_back() -> None:
    block = Block()
    granted(block, 1, 5)
    block.failed(block.ask("k", 600, 1, 0, 101.0))
    assert block.ask("k", 600, 1, 0, 101.0).back == 0
    block.correct(-8, 110.0)
    block.failed(block.ask("k", 600, 1, 0, 111.0))
    assert block.ask("k", 600, 1, 0, 112.0).back == -8


def test_it_asks_ahead_at_the_pace_of_late_and_for_who_waits() -> None:
    block = Block()
    assert block.ask("k", 600, 1, 4, 100.0).want == 5
    granted(block, 1, 1_000)
    for tenth in range(200):
        block.spend(1, 100.0 + tenth / 10)
    steady = block.ask("k", 600, 1, 0, 120.0)
    assert 19 <= steady.want <= 22  # ten a second, two seconds ahead
    assert block.ask("k", 600, 1, 0, 220.0).want == 1
