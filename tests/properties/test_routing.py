"""What holds of every plan, whatever the rules and the request, and of spend over any days."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bundle import BundleRefused, Ceiling, Hours, Requirements, Rule, TokenRange, When
from sidecar.accounting.spend import SpendBook
from sidecar.errors import CannotCarry, UpstreamError
from sidecar.routing.facts import Facts
from sidecar.routing.fallback import AFTER, Step, step_after
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
times = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))


@st.composite
def plans(draw: st.DrawFn) -> tuple[UseCase, Facts, Plan]:
    snapshot = bundles.snapshot(
        providers=PROVIDERS,
        models=MODELS,
        chain=draw(chains),
        rules=tuple(draw(st.lists(st.builds(Rule, when=whens, chain=chains), max_size=2))),
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
    return use_case, asked, plan(use_case, asked, resting=resting, spend=spend, at=draw(times))


def keys(chain: Chain) -> list[str]:
    return [target.key for target in chain.targets] + [f"{item.model}@{item.provider}" for item in chain.barred]


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
    assert set(planned + skipped) <= {key for chain in known for key in keys(chain)}
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
    error = CannotCarry("x") if kind is CannotCarry else kind("x", retry_after_seconds=retry_after)
    step = step_after(error, bytes_sent=bytes_sent, tries_left_on_target=tries_left, targets_left=targets_left)
    assert isinstance(step, Step)
    assert not bytes_sent or step is Step.STOP
    assert tries_left > 0 or step is not Step.SAME_TARGET


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(0, 2), st.integers(1, 5)), max_size=30))
def test_spend_is_that_of_the_day_and_the_month(arrivals: Sequence[tuple[int, int, int]]) -> None:
    """Days pass; a call may end up to two days after it came."""
    book, latest = SpendBook(), date(2026, 1, 15)
    booked: list[tuple[date, int]] = []
    for ahead, late, amount in sorted(arrivals):
        latest = max(latest, date(2026, 1, 15) + timedelta(days=ahead))
        day = latest - timedelta(days=late)
        book.of("chat", latest.isoformat())
        book.add("chat", day.isoformat(), Decimal(amount))
        booked.append((day, amount))
    spent = book.of("chat", latest.isoformat())
    assert spent.per_day == sum(amount for day, amount in booked if day == latest)
    assert spent.per_month == sum(amount for day, amount in booked if day.strftime("%Y%m") == latest.strftime("%Y%m"))
