"""What a scope's part of a bundle holds: enough for its use cases, and nothing of others."""

from datetime import date
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from schemas.__main__ import read_folder
from schemas.bundle import (
    Bundle,
    Caller,
    Ceiling,
    Limits,
    Provider,
    Rule,
    Share,
    UseCase,
    When,
    decode_bundle,
    digest_of,
    encode_bundle,
)
from schemas.load import load
from schemas.scope import WHOLE, OutOfScope, narrowed, part_of, scope_of
from tests.fakes import core_bundles as bundles

RULES = Path(__file__).parents[3] / "examples" / "rules"
MODELS = ("first", "second", "canary", "split", "ruled", "ruled-split", "cheap", "other")
SUPPORT = UseCase(
    owner="support", chain=("first", "second"), canary=Share(model="canary", percent=Decimal(5)),
    split=(Share(model="split", percent=Decimal(5)),), ceiling=Ceiling(per_day=Decimal(1), then=("cheap",)),
    rules=(Rule(when=When(stream=True), chain=("ruled",), split=(Share(model="ruled-split", percent=Decimal(1)),)),),
)  # fmt: skip
CALLERS = (
    Caller(name="anyone", key_sha256="a" * 64, default_use_case="coding"),
    Caller(name="both", key_sha256="b" * 64, use_cases=("coding", "support"), default_use_case="support", pin=True,
           per_month=Decimal(9)),
    Caller(name="coder", key_sha256="c" * 64, use_cases=("coding",), default_use_case="coding"),
)  # fmt: skip


def bundle(callers: tuple[Caller, ...] = CALLERS) -> Bundle:
    return msgspec.structs.replace(
        bundles.bundle(
            providers={
                name: Provider(dialect="openai", base_url="https://example.com") for name in ("p", "q", "unused")
            },
            models={
                name: bundles.model("q" if name == "other" else "p", limits=Limits(concurrency=3)) for name in MODELS
            },
        ),
        use_cases={"support": SUPPORT, "coding": UseCase(owner="dev", chain=("other", "first"))},
        callers=callers,
    )


def part(whole: Bundle, *globs: str) -> Bundle:
    data = encode_bundle(part_of(whole, digest_of(encode_bundle(whole)), scope_of(globs)))
    return decode_bundle(data)


def test_a_part_has_all_that_its_use_cases_reach_and_nothing_else() -> None:
    whole = bundle()
    support = part(whole, "support")
    assert support.use_cases == {"support": SUPPORT}
    assert set(support.models) == set(MODELS) - {"other"}
    assert set(support.providers) == {"p"}
    assert all(support.models[name] == whole.models[name] for name in support.models)
    assert set(part(whole, "coding").models) == {"other", "first"}
    assert set(part(whole, "coding").providers) == {"p", "q"}
    assert b"coding" not in encode_bundle(support)
    assert b"coder" not in encode_bundle(support)


def test_callers_keep_what_they_may_and_lose_the_names_of_the_rest() -> None:
    anyone, both = part(bundle(), "support").callers
    assert anyone == Caller(name="anyone", key_sha256="a" * 64)
    assert both == msgspec.structs.replace(CALLERS[1], use_cases=("support",))


def test_where_callers_need_a_key_a_part_without_any_still_asks_for_one() -> None:
    lone = part(bundle(callers=CALLERS[2:]), "support")
    assert lone.callers == ()
    assert lone.keys_required
    assert not part(bundle(callers=()), "support").keys_required


def test_the_whole_scope_is_the_bundle_itself() -> None:
    whole = bundle()
    assert part_of(whole, "sha256:0", WHOLE) is whole
    assert scope_of(["support", "*"]) == WHOLE
    assert b"whole" not in encode_bundle(whole)
    assert b"keys_required" not in encode_bundle(whole)


def test_equal_scopes_make_equal_bytes_and_a_part_names_its_whole() -> None:
    one = part(bundle(), "support", "coding", "support")
    assert encode_bundle(one) == encode_bundle(part(bundle(), "coding", "support"))
    assert one.whole == digest_of(encode_bundle(bundle()))
    assert part(bundle(), "supp*").use_cases == part(bundle(), "support").use_cases


def test_every_part_of_the_example_rules_is_a_bundle() -> None:
    example_bundle = load(read_folder(RULES), today=date(2026, 11, 23), revision="abc").bundle
    assert example_bundle is not None
    names = sorted(example_bundle.use_cases)
    for size in range(len(names) + 1):
        for scope in combinations(names, size):
            assert sorted(part(example_bundle, *scope).use_cases) == list(scope)


def test_who_asks_for_less_gets_less_and_who_asks_for_more_is_told_no_name_but_its_own() -> None:
    assert narrowed(("cod*", "support"), []) == ("cod*", "support")
    assert narrowed(("cod*", "support"), ["coding"]) == ("coding",)
    assert narrowed(WHOLE, ["b", "a", "b"]) == ("a", "b")
    with pytest.raises(OutOfScope) as refused:
        narrowed(("cod*", "support"), ["coding", "legal"])
    assert '"legal"' in str(refused.value)
    assert "support" not in str(refused.value)


@pytest.mark.parametrize("asked", ["*", "a*c", "a[bx]c", "a?c", ""])
def test_a_name_that_is_a_glob_widens_no_scope(asked: str) -> None:
    with pytest.raises(OutOfScope):
        narrowed(("a?c", "a[[]bx]c"), [asked])
