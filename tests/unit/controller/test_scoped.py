"""A trial as each scope sees it: its own parts of both bundles, under the lots of the whole fleet."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from controller.canaries.state import begun
from controller.channel import Policy, accept, advance, roll_back
from controller.fleet import Roster
from controller.publish import Publication, Publisher
from controller.scoped import ScopedRules
from controller.sign import Signer
from schemas.bundle import Bundle, UseCase, decode_bundle, digest_of
from schemas.cohort import pointer_for
from schemas.scope import WHOLE
from schemas.status import Activation, SidecarStatus
from tests.fakes.canaries import terms

MakeBundle = Callable[..., Bundle]
SUPPORT = ("support",)
FLEET = [f"pod-{number}" for number in range(40)]
POLICY = Policy(stages=(10, 50, 100), bake_seconds=60.0, min_calls=40)


@pytest.fixture
def scoped(publisher: Publisher, signer: Signer) -> ScopedRules:
    return ScopedRules(publisher, signer)


def two_teams(bundle: Bundle) -> Bundle:
    return msgspec.structs.replace(bundle, use_cases={**bundle.use_cases, "coding": UseCase(owner="dev", chain=("m",))})


async def on_trial(publisher: Publisher, make_bundle: MakeBundle, percent: float = 25.0) -> Publication:
    await publisher.publish(two_teams(make_bundle("r1")))
    named, data = publisher.name(two_teams(make_bundle("r2", owner="other")))
    return await publisher.change(
        lambda channel: accept(channel, named, POLICY, affected=SUPPORT, percent=percent, now=0.0),
        {named.digest: data},
    )


async def test_the_same_sidecars_try_a_revision_whatever_they_see(
    publisher: Publisher, scoped: ScopedRules, make_bundle: MakeBundle
) -> None:
    whole = await on_trial(publisher, make_bundle)
    seen = scoped.seen_by(whole, SUPPORT)
    tried = {}
    for view, scope in ((whole, WHOLE), (seen, SUPPORT)):
        mine = {name: pointer_for(view.pointer, name) for name in FLEET}
        tried[scope] = {name: pointer.revision for name, pointer in mine.items()}
        for pointer in mine.values():
            data = scoped.bundle(pointer.digest, scope)
            assert data is not None
            assert len(data) == pointer.size
            assert digest_of(data) == pointer.digest
            assert decode_bundle(data).revision == pointer.revision
    assert tried[WHOLE] == tried[SUPPORT]
    assert set(tried[SUPPORT].values()) == {"r1", "r2"}


async def test_every_scope_keeps_to_the_sequence_of_all(
    publisher: Publisher, scoped: ScopedRules, make_bundle: MakeBundle
) -> None:
    seen = []
    for publication in (
        await on_trial(publisher, make_bundle),
        await publisher.change(lambda channel: advance(channel, percent=50.0, now=1.0)),
        await publisher.change(lambda channel: roll_back(channel, "worse", now=2.0)),
    ):
        view = scoped.seen_by(publication, SUPPORT)
        assert view is scoped.seen_by(publication, SUPPORT)
        assert (view.pointer.epoch, view.pointer.seq) == (publication.pointer.epoch, publication.pointer.seq)
        seen.append((view.pointer.seq, view.pointer.rollout and view.pointer.rollout.percent))
    assert seen == [(2, 25.0), (3, 50.0), (4, None)]


async def test_a_scope_is_told_of_its_own_canaries_and_a_sidecar_that_does_not_know_the_word_of_none(
    publisher: Publisher, scoped: ScopedRules, make_bundle: MakeBundle
) -> None:
    await publisher.publish(two_teams(make_bundle()))
    canaries = tuple(begun(terms(use_case=name), now=1.0) for name in ("coding", "support"))
    whole = await publisher.change(lambda channel: msgspec.structs.replace(channel, canaries=canaries))
    old = scoped.seen_by(whole, WHOLE, knows_steering=False)
    assert set(whole.pointer.steering) == {"coding", "support"}
    assert set(scoped.seen_by(whole, SUPPORT).pointer.steering) == {"support"}
    assert "steering" not in scoped.seen_by(whole, SUPPORT, knows_steering=False).signed.pointer
    assert "steering" not in old.signed.pointer
    assert (old.pointer.seq, old.pointer.digest) == (whole.pointer.seq, whole.pointer.digest)
    views = [
        scoped.seen_by(whole, scope, knows_steering=knows) for scope in (WHOLE, SUPPORT) for knows in (True, False)
    ]
    assert len({view.tag for view in views}) == 4, "no cache takes one for another"


async def test_who_refuses_its_part_of_a_trial_refuses_the_trial(
    publisher: Publisher, scoped: ScopedRules, make_bundle: MakeBundle
) -> None:
    whole = await on_trial(publisher, make_bundle)
    trial, own = whole.pointer.rollout, scoped.seen_by(whole, SUPPORT).pointer
    assert trial is not None
    assert own.rollout is not None
    stable, tried = Activation(digest=own.digest), Activation(digest=own.rollout.digest)
    status = SidecarStatus(id="s1", version="1", state="REJECTED", tried=tried, active=stable)
    roster = Roster(lambda: 0.0)
    roster.note_status(scoped.told_as_one(status, SUPPORT), SUPPORT)
    assert roster.rejecting(trial.digest) == ["s1"]


@pytest.mark.parametrize(
    ("scope", "use_cases", "serving"),
    [
        (SUPPORT, ["support"], True),
        (SUPPORT, ["coding"], False),
        (("*",), ["coding"], True),
        (("c*",), ["coding"], True),
    ],
)
def test_a_trial_is_drawn_among_those_that_may_call_what_changes(
    scope: tuple[str, ...], use_cases: list[str], serving: bool
) -> None:
    roster = Roster(lambda: 0.0)
    roster.note_alive("legal", ("legal", *use_cases))
    roster.note_alive("s1", scope)
    assert ("s1" in roster.serving(use_cases)) is serving


async def test_a_part_of_an_unknown_bundle_is_none(
    publisher: Publisher, scoped: ScopedRules, make_bundle: MakeBundle
) -> None:
    await publisher.publish(make_bundle())
    unknown: dict[str, Any] = {"digest": "sha256:0", "scope": SUPPORT}
    assert scoped.bundle(**unknown) is None
