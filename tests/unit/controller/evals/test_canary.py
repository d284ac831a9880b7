"""What follows from the figures of a canary's step."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.evals.canary import Climb, GiveUp, Halt, TakeBack, Verdict, Wait, compare, verdict
from controller.evals.canary_figures import Figures, Minute, Side, Sums
from tests.fakes.canaries import terms

FIFTY = Decimal(50)
SALTS = 60


def side(calls: int, good: int | None = None, *, minutes: int = 10, drawn: int | None = None, **minute: Any) -> Side:
    """Each call a conversation of its own; `minute` is what each minute has beside its calls."""
    each, good = calls // minutes, calls if good is None else good
    own = Minute(**{"tried": each, "timed": each, "priced": each, "usd": each * 0.001} | bounded(each) | minute)
    return Side(
        calls if drawn is None else drawn, Sums(calls, calls, good, good, good, calls),
        {f"2026-11-05T12:{number:02}": own for number in range(minutes)} if each else {},
    )  # fmt: skip


def bounded(calls: int, usd: float = 0.001) -> dict[str, float]:
    return {"usd_bounded": calls * usd, "usd_bounded_squared": calls * usd * usd}


def figures(candidate: Side, incumbent: Side, **changes: Any) -> Figures:
    return Figures(candidate, incumbent, **{"slow_line": 1.5, "cost_bound": 0.004} | changes)


@pytest.mark.parametrize(
    ("percent", "found", "kind", "says"),
    [
        (50, Figures(), Wait, "conversations: 0 on the smaller side"),
        (50, figures(side(990, drawn=1000), side(99)), Halt, "of 1099 conversations came to it"),
        (50, figures(side(95), side(95)), Wait, "conversations: 95 on the smaller side"),
        (
            50,
            figures(side(2000), side(2000)),
            Climb,
            "not worse by 2 points: 100.00% of 2000 calls good, 100.00% of 20",
        ),
        (50, figures(side(200), side(200)), Wait, "more calls: 100.00% of 200 calls good"),
        (5, figures(side(170, 158), side(3200, 2976)), Wait, "more calls: 92.94% of 170 calls good, 93.00% of 3200"),
        (50, figures(side(3000, 2400), side(3000, 2700)), TakeBack, "worse by more than 2 points: 80.00% of 3000"),
        (50, figures(side(3000, 2760), side(3000, 2700)), Climb, "by m: +2.00 ± 2.24 points"),
        (50, figures(side(10_000, 8000), side(10_000, 8100)), GiveUp, "undecided after 20000 calls: 80.00% of 10000"),
        (1, figures(side(50, drawn=200), side(19_950)), GiveUp, "20000 calls, and one side has only 50 conversations"),
        # More conversations than lots explain: not even a good candidate climbs, but a bad one goes.
        (50, figures(side(4000), side(3000)), Halt, "4000 of 7000 conversations came to it, where its share is 50 %"),
        (50, figures(side(4000, 2000), side(3000)), TakeBack, "worse by more than 2 points"),
        (50, figures(side(2000), side(1000), drawn_elsewhere=1000), Climb, "not worse by 2 points"),
        # Cost: unknown is not none; dearer is no reason below the guardrail.
        (50, figures(side(2000, priced=0, usd=0.0, **bounded(0)), side(2000)), Wait, "its cost: none of its calls"),
        (
            50,
            figures(side(200, usd=0.04, **bounded(20, 0.002)), side(200)),
            TakeBack,
            "spend: a call costs 0.002000 USD, 0",
        ),
        (50, figures(side(2000, usd=0.28, **bounded(200, 0.0014)), side(2000)), Climb, "not worse"),
        (50, figures(side(2000, usd=0.4, **bounded(200, 0.002)), side(2000), cost_bound=None), Climb, "not worse"),
        # Guardrails: so much more than the primary's own, at once and long before a share is proved.
        (5, figures(side(90, 40, errors=4), side(1700)), TakeBack, "errors: 44.44% of its calls, 0.00% by m"),
        (5, figures(side(90, invalid=4), side(1700)), TakeBack, "invalid answers: 44.44% of its calls"),
        (5, figures(side(90, cut_or_refused=4), side(1700)), TakeBack, "answers cut or refused: 44.44% of its calls"),
        (5, figures(side(90, slow=2), side(1700)), TakeBack, "latency: 22.2% of its answers take longer than 1.50 s"),
        (5, figures(side(90, slow=2), side(1700), slow_line=None), Wait, "conversations: 90"),
        (5, figures(side(90, errors=4), side(1700, errors=80)), Wait, "conversations: 90"),
        (50, figures(side(10_000, 9500, errors=20), side(10_000, 9500, errors=1)), Climb, "not worse"),
    ],
)
def test_what_follows(percent: int, found: Figures, kind: type[Verdict], says: str) -> None:
    decided = verdict(terms(), Decimal(percent), found)
    assert isinstance(decided, kind), decided
    assert says in (decided.waits_for if isinstance(decided, Wait) else decided.reason)


def test_an_outage_that_meets_both_takes_nobody_back() -> None:
    """In its minute the candidate fails every call, as the incumbent does; over the step the incumbent is well."""
    bad = "2026-11-05T12:05"

    def struck(one: Side) -> Side:
        return replace(one, minutes={**one.minutes, bad: replace(one.minutes[bad], errors=one.minutes[bad].tried)})

    assert isinstance(verdict(terms(), FIFTY, figures(struck(side(1000, 900)), struck(side(1000, 900)))), Wait)
    alone = verdict(terms(), FIFTY, figures(struck(side(1000, 900)), side(1000)))
    assert isinstance(alone, TakeBack)
    assert alone.reason.startswith("errors: 10.00%")


def test_the_sequence_is_that_of_the_reference_and_conversations_make_it_wider() -> None:
    """Waudby-Smith et al.: 170 of 200 against 1,640 of 1,800, sharpest at 5,000."""
    alone = [Sums(n, n, good, good, good, n) for n, good in ((200, 170), (1800, 1640))]
    difference, half = compare(*alone, planned_calls=5_000)
    assert (difference, half) == (pytest.approx(-0.061111, abs=1e-6), pytest.approx(0.081607, abs=1e-6))
    # Ten calls in each conversation, all good or all bad: a tenth of the information.
    alike = [Sums(n // 10, n, good, good * 10, good * 10, n * 10) for n, good in ((200, 170), (1800, 1640))]
    same, wider = compare(*alike, planned_calls=5_000)
    assert same == difference
    assert wider == pytest.approx(half * math.sqrt(10), rel=0.03)


minute = st.builds(
    Minute,
    tried=st.integers(0, 500), errors=st.integers(0, 50), invalid=st.integers(0, 50), slow=st.integers(0, 50),
    timed=st.integers(50, 500), priced=st.integers(0, 500), usd=st.floats(0, 10), usd_bounded=st.floats(0, 10),
    usd_bounded_squared=st.floats(0, 10),
)  # fmt: skip


@given(
    st.integers(0, 99), st.integers(0, 10_000), st.booleans(), st.dictionaries(st.sampled_from("abc"), minute),
    st.dictionaries(st.sampled_from("abc"), minute), st.sampled_from([1, 5, 50]),
)  # fmt: skip
def test_it_never_climbs_without_data(
    few: int, many: int, candidate_is_few: bool, own: dict[str, Minute], others: dict[str, Minute], percent: int
) -> None:
    sides = [Side(n, Sums(n, n, n, n, n, n), minutes) for n, minutes in ((few, own), (many, others))]
    candidate, incumbent = sides if candidate_is_few else reversed(sides)
    for found in (figures(candidate, incumbent), figures(candidate, incumbent, slow_line=None, cost_bound=None)):
        assert not isinstance(verdict(terms(margin=0.5), Decimal(percent), found), Climb)


def test_costs_too_small_to_be_squared_are_no_reason() -> None:
    minutes = {"a": Minute(tried=500, priced=500, usd=1e-200, usd_bounded=1e-200, usd_bounded_squared=0.0)}
    side = Side(500, Sums(500, 500, 500, 500, 500, 500), minutes)
    found = verdict(terms(margin=0.5), Decimal(50), figures(side, side))
    assert "spend" not in getattr(found, "reason", "")


class Stream:
    """One stream of calls, its lots drawn by a salt; the candidate differs as `of_candidate` says."""

    def __init__(self, salt: int, percent: int, calls: int, **of_candidate: float) -> None:
        random = np.random.default_rng(salt)

        def happens(name: str, usual: float) -> np.ndarray[Any, Any]:
            chance = np.where(self.is_candidate, of_candidate.get(name, usual), usual)
            return np.asarray(random.random(calls) < chance)

        self.is_candidate = random.random(calls) < percent / 100
        self.errors, self.cut = happens("errors", 0.01), happens("cut", 0.03)
        self.usd = np.exp(random.normal(0, 1, calls)) * np.where(self.is_candidate, of_candidate.get("cost", 1), 1)
        self.seconds = np.exp(random.normal(0, 0.6, calls)) * np.where(
            self.is_candidate, of_candidate.get("seconds", 1), 1
        )

    def figures(self, calls: int) -> Figures:
        incumbent = ~self.is_candidate[:calls]
        usual = np.sort(self.seconds[:calls][incumbent & ~self.errors[:calls]])
        line = float(usual[int(len(usual) * 0.95)]) * 1.5 if len(usual) >= 100 else None
        bound = float(self.usd[:calls][incumbent].mean()) * 4
        sides = [self._side(mask, line, bound) for mask in (self.is_candidate[:calls], incumbent)]
        return Figures(sides[0], sides[1], slow_line=line, cost_bound=bound if line is not None else None)

    def _side(self, mask: np.ndarray[Any, Any], line: float | None, bound: float) -> Side:
        where = np.nonzero(mask)[0]
        minutes = where // 50
        errors, bounded = self.errors[where], np.minimum(self.usd[where], bound)

        def of(values: Any) -> list[float]:
            return list(np.bincount(minutes, weights=values * np.ones(len(where))))

        columns: Sequence[list[float]] = [
            of(1), of(~errors), of(1), of(errors), of(0), of(self.cut[where] & ~errors),
            of(~errors & (self.seconds[where] > (line or math.inf))), of(self.usd[where]), of(bounded),
            of(bounded**2),
        ]  # fmt: skip
        good = int((~errors & ~self.cut[where]).sum())
        n = len(where)
        return Side(n, Sums(n, n, good, good, good, n), {
            f"{number:06}": Minute(*map(int, row[:3]), *row[3:])
            for number, row in enumerate(zip(*columns, strict=True))
        })  # fmt: skip


LOOKS = (300, 600, 1_000, 2_000, 3_000, 5_000, 8_000)
LADDERS = int(os.environ.get("POINTSMAN_CANARY_LADDERS", "10"))
"""Of each kind, by the rules' own defaults."""
LADDER_LOOKS = (*LOOKS, 10_000, 13_000, 16_000, 20_000)


def ends(percent: int, salts: int = SALTS, **of_candidate: float) -> list[Verdict]:
    """The first decision of each stream, looked at again and again."""
    found = []
    for salt in range(salts):
        stream = Stream(salt, percent, LOOKS[-1], **of_candidate)
        looks = (verdict(terms(), Decimal(percent), stream.figures(calls)) for calls in LOOKS)
        found.append(next((decided for decided in looks if not isinstance(decided, Wait)), Wait("more calls")))
    return found


def test_an_equal_model_is_taken_back_or_halted_in_no_more_than_one_stream_of_twenty() -> None:
    """The stated error of the sequence is 0.05 for all looks together; guardrails and lots add next to nothing."""
    found = ends(50)
    assert sum(isinstance(one, TakeBack | Halt | GiveUp) for one in found) / SALTS <= 0.05
    assert sum(isinstance(one, Climb) for one in found) / SALTS >= 0.8


@pytest.mark.parametrize(
    ("of_candidate", "says"),
    [({"errors": 0.08}, "errors"), ({"cost": 3.0}, "spend"), ({"seconds": 2.5}, "latency"), ({"cut": 0.25}, "cut")],
)
def test_a_model_that_is_worse_in_one_way_is_taken_back_for_it(of_candidate: dict[str, float], says: str) -> None:
    found = ends(10, 20, **of_candidate)
    assert sum(isinstance(one, TakeBack) for one in found) >= 19
    named = [one for one in found if isinstance(one, TakeBack) and says in one.reason]
    assert len(named) >= 10, "or its share of good answers shows it first"


def test_a_model_at_the_margin_climbs_in_no_more_than_one_stream_of_twenty() -> None:
    """Two points worse, at a margin of two points, without any guardrail in the way."""
    off: dict[str, Any] = {"errors": 0.5, "cut_or_refused": 0.5}
    climbs = 0
    for salt in range(SALTS):
        stream = Stream(salt, 50, LOOKS[-1], cut=0.05)
        climbs += any(isinstance(verdict(terms(**off), FIFTY, stream.figures(calls)), Climb) for calls in LOOKS[2:])
    assert climbs / SALTS <= 0.05


def end_of_ladder(salt: int, **of_candidate: float) -> Verdict:
    """Of the last rung that it comes to."""
    rules = terms(margin=0.03)
    decided: Verdict = Wait("")
    for percent in (5, 25, 50):
        stream = Stream(1_000 * salt + percent, percent, LADDER_LOOKS[-1], **of_candidate)
        looks = (verdict(rules, Decimal(percent), stream.figures(calls)) for calls in LADDER_LOOKS)
        decided = next(one for one in looks if not isinstance(one, Wait))
        if not isinstance(decided, Climb):
            break
    return decided


@pytest.mark.parametrize(
    ("of_candidate", "promoted"),
    [
        # As good as the primary, of whose answers 96 % are good.
        ({}, (0.8, 1.0)),
        # Three points worse, which is the margin; nine points worse.
        ({"cut": 0.06}, (0.0, 0.05)),
        ({"cut": 0.12}, (0.0, 0.0)),
    ],
)
def test_whole_ladders_promote_who_is_equal_and_nobody_who_is_worse(
    of_candidate: dict[str, float], promoted: tuple[float, float]
) -> None:
    ends = [end_of_ladder(salt, **of_candidate) for salt in range(LADDERS)]
    least, most = promoted
    assert least <= sum(isinstance(one, Climb) for one in ends) / LADDERS <= most
    if of_candidate.get("cut") == 0.12:
        assert all(isinstance(one, TakeBack) for one in ends)
