"""What is called unreachable is unreachable: held against the conditions that the sidecar itself compiles."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from schemas.checks.rule_order import implies
from schemas.compile import compile_when_document
from schemas.globs import covers
from schemas.rules.use_case import When
from sidecar.routing.facts import Facts
from sidecar.routing.matching import compile_when, glob

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
GLOBS = st.text(alphabet="ab*?[]", min_size=1, max_size=4)
WORDS = st.text(alphabet="ab[", max_size=4)
COUNTS = st.integers(0, 6)
WHENS = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": st.one_of(
            st.builds(lambda over: {"over": over}, COUNTS),
            st.builds(lambda over, more: {"over": over, "under": over + 2 + more}, COUNTS, COUNTS),
        ),
        "needs": st.lists(st.sampled_from(["tools", "vision"]), unique=True),
        "stream": st.booleans(),
        "agent": st.lists(GLOBS, min_size=1, max_size=2),
        "header": st.dictionaries(st.sampled_from(["x-a", "X-B"]), GLOBS, max_size=2),
        "metadata": st.dictionaries(st.sampled_from(["k", "l"]), GLOBS, max_size=2),
    },
).map(When.model_validate)
FACTS = st.builds(
    Facts,
    input_tokens=st.integers(0, 16),
    needs=st.frozensets(st.sampled_from(["tools", "vision"])),
    stream=st.booleans(),
    agent=WORDS,
    headers=st.dictionaries(st.sampled_from(["x-a", "x-b"]), WORDS),
    metadata=st.dictionaries(st.sampled_from(["k", "l"]), WORDS),
)


@given(WHENS, WHENS, st.lists(FACTS, min_size=1, max_size=20))
def test_what_one_rule_implies_the_other_matches(narrow: When, wide: When, facts: list[Facts]) -> None:
    holds_narrow, holds_wide = compile_when(compile_when_document(narrow)), compile_when(compile_when_document(wide))
    if implies(narrow, wide):
        assert all(holds_wide(fact, AT) for fact in facts if holds_narrow(fact, AT))


@given(GLOBS, GLOBS, st.lists(WORDS, max_size=20))
def test_a_glob_that_covers_another_matches_all_of_its_words(wide: str, narrow: str, words: list[str]) -> None:
    if covers(wide, narrow):
        assert all(glob(wide).match(word) for word in words if glob(narrow).match(word))


@given(WHENS)
def test_a_rule_implies_itself_and_what_has_no_condition(when: When) -> None:
    assert implies(when, when)
    assert implies(when, When())
