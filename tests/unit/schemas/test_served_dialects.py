"""What `check` says about dialects is what the sidecar can do."""

from datetime import UTC, datetime

import pytest

from schemas.bundle import SERVED_DIALECTS, Bundle, Model, Provider, Served, UseCase
from sidecar.dialects.registry import TARGETS
from sidecar.errors import UnknownTarget
from sidecar.routing.facts import Facts
from sidecar.routing.plan import NOTHING_SPENT, plan, plan_pinned
from sidecar.routing.snapshot import build_snapshot

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_the_served_dialects_are_those_that_the_sidecar_has() -> None:
    assert set(TARGETS) == SERVED_DIALECTS


def test_a_target_of_another_dialect_is_skipped_and_cannot_be_pinned() -> None:
    bundle = Bundle(
        schema="1.0",
        revision="x",
        providers={
            "one": Provider(dialect="a-later-one", base_url="https://one.example"),  # type: ignore[arg-type]
            "two": Provider(dialect="openai", base_url="https://two.example/v1"),
        },
        models={
            "alpha": Model(
                vendor="acme",
                context_window=1000,
                max_output_tokens=100,
                served_by=(Served(provider="one", name="a"), Served(provider="two", name="a")),
            )
        },
        use_cases={"chat": UseCase(owner="team", chain=("alpha",))},
    )
    snapshot = build_snapshot(bundle)
    made = plan(snapshot.use_cases["chat"], Facts(), resting={}, spend=NOTHING_SPENT, at=NOW)
    assert [step.target.provider for step in made.steps] == ["two"]
    assert [(item.provider, item.reason) for item in made.skipped] == [("one", "dialect")]
    with pytest.raises(UnknownTarget, match="does not call a-later-one yet"):
        plan_pinned(snapshot, snapshot.use_cases["chat"], "alpha@one")
