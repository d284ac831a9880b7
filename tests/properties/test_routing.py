"""What holds of every plan, whatever the rules and the request, and of spend over any days."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bundle import BundleRefused, Ceiling, Hours, Requirements, Rule, Share, TokenRange, When
from sidecar.errors import UpstreamError
from sidecar.limits.fleet import FleetSize
from sidecar.limits.money import MoneyBook
from sidecar.routing.facts import Facts
from sidecar.routing.fallback import AFTER, Step, step_after
from sidecar.routing.lots import draw
from sidecar.routing.matching import compile_when
from sidecar.routing.plan import Plan, Spend, plan
from sidecar.routing.snapshot import Chain, UseCase
from tests.fakes import core_bundles as bundles

NAMES = ("alpha", "beta", "cheap", "dear", "unpriced")
CAPABILITIES = ("tools", "vision")
MODELS = {
    "alpha": bundles.model("one", "two"),
    "beta": bundles.model("two", "one", window=1_000, capabilities=("tools",)),
    "cheap": bundles.model("one", prices=(bundles.price("0.1", "0.1"),)),
    "dear": bundles.model("two", prices=(bundles.price("1000", "1000"),)),
    "unpriced": bundles.model("one", prices=()),
}
PROVIDERS = {"one": bundles.provider(regions=("eu",)), "two": bundles.provider(zero_retention=True)}
KEYS = [f"{name}@{door.provider}" for name, made in MODELS.items() for door in made.served_by]

chains = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5).map(tuple)
usd = st.decimals("0.0001", "10", places=4)
facts = st.builds(
    Facts,
    input_tokens=st.integers(0, 300_000),
    conversation=st.sampled_from(["", "c-1", "c-2", "c-3"]),
    max_output_tokens=st.none() | st.integers(1, 5_000),
    needs=st.frozensets(st.sampled_from(CAPABILITIES)),
    stream=st.booleans(),
    agent=st.text(max_size=5),
)
texts = st.text(alphabet="ab*?[]!-", max_size=5)
bounds = st.none() | st.integers(0, 10)
whens = st.builds(
    When,
    input_tokens=st.none() | st.builds(TokenRange, over=bounds, under=bounds),
    needs=st.lists(st.sampled_from(CAPABILITIES), max_size=2).map(tuple),
    stream=st.none() | st.booleans(),
    agent=st.lists(texts, max_size=2).map(tuple),
    caller=st.lists(texts, max_size=2).map(tuple),
    header=st.dictionaries(texts, texts, max_size=2),
    metadata=st.dictionaries(texts, texts, max_size=2),
    hours=st.none()
    | st.builds(
        Hours,
        start=st.sampled_from(["00:00", "08:30", "22:00"]),
        end=st.sampled_from(["00:00", "09:00", "24:00"]),
        zone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]),
        days=st.lists(st.sampled_from(["mon", "sun"]), max_size=2).map(tuple),
    ),
)
ceilings = st.builds(
    Ceiling,
    per_request=st.none() | usd,
    per_day=st.none() | usd,
    per_month=st.none() | usd,
    then=st.just(()) | chains,
)
percents = st.decimals("0.1", "50", places=1)
shares = st.builds(Share, model=st.sampled_from(NAMES), percent=percents)
splits = st.just(()) | st.builds(lambda share: (share,), shares)
times = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))


@st.composite
def plans(draw: st.DrawFn) -> tuple[UseCase, Facts, Plan]:
    snapshot = bundles.snapshot(
        providers=PROVIDERS,
        models=MODELS,
        chain=draw(chains),
        rules=tuple(draw(st.lists(st.builds(Rule, when=whens, chain=chains, split=splits), max_size=2))),
        canary=draw(st.none() | shares),
        split=draw(splits),
        sticky=draw(st.booleans()),
        ceiling=draw(st.none() | ceilings),
        requires=draw(
            st.builds(
                Requirements,
                capabilities=st.lists(st.sampled_from(CAPABILITIES), max_size=1).map(tuple),
                regions=st.sampled_from([(), ("eu",), ("us",)]),
                zero_retention=st.booleans(),
            )
        ),
    )
    use_case, asked = snapshot.use_cases["chat"], draw(facts)
    resting = dict.fromkeys(draw(st.sets(st.sampled_from([*KEYS, *NAMES, *PROVIDERS]), max_size=3)), "down")
    spend = Spend(draw(usd), draw(usd))
    answered_by = draw(st.none() | st.sampled_from([*KEYS, *NAMES]))
    made = plan(use_case, asked, resting=resting, spend=spend, at=draw(times), answered_by=answered_by)
    return use_case, asked, made


def keys(chain: Chain) -> list[str]:
    return [target.key for target in chain.targets] + [f"{item.model}@{item.provider}" for item in chain.barred]


def keys_of_arms(chain: Chain) -> set[str]:
    return {target.key for arm in chain.arms for target in arm.targets}


@settings(max_examples=80, deadline=None)
@given(plans())
def test_every_target_of_the_chain_is_planned_or_skipped_with_a_reason_and_none_twice(
    made: tuple[UseCase, Facts, Plan],
) -> None:
    use_case, _, result = made
    planned = [step.target.key for step in result.steps]
    skipped = [f"{item.model}@{item.provider}" for item in result.skipped]
    assert len(set(planned + skipped)) == len(planned + skipped)
    known = [use_case.chain, *(rule.chain for rule in use_case.rules)]
    if use_case.ceiling is not None and use_case.ceiling.then is not None:
        known.append(use_case.ceiling.then)
    assert set(planned + skipped) <= {key for chain in known for key in keys(chain)}.union(*map(keys_of_arms, known))
    assert any(set(keys(chain)) <= set(planned + skipped) for chain in known[: 1 + len(use_case.rules)])
    assert all(item.reason for item in (*result.steps, *result.skipped))
    assert not (result.refusal and result.steps)


@settings(max_examples=80, deadline=None)
@given(plans())
def test_no_planned_target_is_one_that_cannot_take_the_call(made: tuple[UseCase, Facts, Plan]) -> None:
    _, asked, result = made
    for step in result.steps:
        assert asked.needs <= step.target.capabilities
        assert asked.input_tokens <= step.target.context_window


@settings(max_examples=80, deadline=None)
@given(plans())
def test_a_chance_is_told_where_a_lot_was_drawn_and_nowhere_else(made: tuple[UseCase, Facts, Plan]) -> None:
    _, asked, result = made
    assert (result.propensity is None) is (result.arm == "")
    assert result.propensity is None or (asked.conversation and 0 < result.propensity <= 1)


def drawn_arms(canary: Decimal | None, split: Sequence[Decimal], conversations: int) -> list[str]:
    """Where each conversation's lot fell."""
    snapshot = bundles.snapshot(
        models=MODELS,
        providers=PROVIDERS,
        chain=["alpha"],
        canary=None if canary is None else Share(model="beta", percent=canary),
        split=tuple(
            Share(model=model, percent=percent) for model, percent in zip(("cheap", "dear"), split, strict=False)
        ),
    )
    chain = snapshot.use_cases["chat"].chain
    lots = [draw("chat", chain, f"conversation-{number}", chain.arms) for number in range(conversations)]
    return ["alpha" if lot.arm is None else lot.arm.model for lot in lots]


CHI_SQUARE_AT_ONE_IN_A_THOUSAND = {1: 10.83, 2: 13.82, 3: 16.27}
"""By degrees of freedom."""


@pytest.mark.parametrize(
    ("canary", "split", "expected"),
    [
        ("5", [], {"beta": 0.05, "alpha": 0.95}),
        ("0.5", [], {"beta": 0.005, "alpha": 0.995}),
        (None, ["30"], {"cheap": 0.3, "alpha": 0.7}),
        (None, ["33.3", "33.3"], {"cheap": 0.333, "dear": 0.333, "alpha": 0.334}),
        ("10", ["50", "25"], {"beta": 0.1, "cheap": 0.45, "dear": 0.225, "alpha": 0.225}),
    ],
)
def test_shares_are_those_of_the_rules_within_the_error_of_the_sample(
    canary: str | None, split: list[str], expected: dict[str, float]
) -> None:
    size = 20_000
    drawn = drawn_arms(None if canary is None else Decimal(canary), [Decimal(percent) for percent in split], size)
    seen = Counter(drawn)
    assert set(seen) == set(expected)
    chi_square = sum((seen[arm] - size * share) ** 2 / (size * share) for arm, share in expected.items())
    assert chi_square < CHI_SQUARE_AT_ONE_IN_A_THOUSAND[len(expected) - 1]


@settings(max_examples=30, deadline=None)
@given(percents, percents, st.lists(percents, max_size=2))
def test_a_larger_canary_takes_conversations_in_and_moves_no_others(
    one: Decimal, other: Decimal, split: list[Decimal]
) -> None:
    small, large = sorted((one, other))
    moves = zip(drawn_arms(small, split, 300), drawn_arms(large, split, 300), strict=True)
    assert all(after == "beta" for before, after in moves if before != after)


@settings(max_examples=30, deadline=None)
@given(percents, percents, st.none() | percents)
def test_a_larger_split_takes_conversations_from_the_primary_alone(
    one: Decimal, other: Decimal, canary: Decimal | None
) -> None:
    small, large = sorted((one, other))
    moves = zip(drawn_arms(canary, [small], 300), drawn_arms(canary, [large], 300), strict=True)
    assert {move for move in moves if move[0] != move[1]} <= {("alpha", "cheap")}


@settings(max_examples=100, deadline=None)
@given(whens, facts, times)
def test_matching_is_total(when: When, asked: Facts, at: datetime) -> None:
    try:
        holds = compile_when(when)
    except (ValueError, BundleRefused):
        return
    assert holds(asked, at) in (True, False)


@given(
    st.sampled_from(sorted(AFTER, key=lambda kind: kind.__name__)),
    st.booleans(),
    st.integers(-1, 3),
    st.integers(0, 3),
    st.none() | st.floats(0, 100),
)
def test_there_is_always_a_next_step_and_never_a_second_answer(
    kind: type[UpstreamError], bytes_sent: bool, tries_left: int, targets_left: int, retry_after: float | None
) -> None:
    error = kind("x", retry_after_seconds=retry_after)
    step = step_after(error, bytes_sent=bytes_sent, tries_left_on_target=tries_left, targets_left=targets_left)
    assert isinstance(step, Step)
    assert not bytes_sent or step is Step.STOP
    assert tries_left > 0 or step is not Step.SAME_TARGET


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(0, 2), st.integers(1, 5)), max_size=30))
def test_spend_is_that_of_the_day_and_the_month(arrivals: Sequence[tuple[int, int, int]]) -> None:
    """Days pass; a call may end up to two days after it came."""
    book, latest = MoneyBook(FleetSize(), has_controller=False), date(2026, 1, 15)
    booked: list[tuple[date, int]] = []
    for ahead, late, amount in sorted(arrivals):
        latest = max(latest, date(2026, 1, 15) + timedelta(days=ahead))
        day = latest - timedelta(days=late)
        book.spend("chat", latest.isoformat())
        book.add(day.isoformat(), "chat", "", Decimal(amount))
        booked.append((day, amount))
    spent = book.spend("chat", latest.isoformat())
    assert spent.per_day == sum(amount for day, amount in booked if day == latest)
    assert spent.per_month == sum(amount for day, amount in booked if day.strftime("%Y%m") == latest.strftime("%Y%m"))
