from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from controller.evals.arms import gather
from controller.evals.compare import compare
from controller.evals.decision import Decision
from controller.evals.evidence import write_evidence
from controller.evals.proofs import problems_against_running
from controller.folder import Folder
from controller.git import LocalRepository
from controller.kept.database import SharedState
from controller.kept.folder import StateFolder
from controller.ledger.database import sqlite_at
from controller.ledger.store import Ledger
from controller.publish import Publisher
from controller.reconcile import DOUBT_SECONDS, Load, Reconciler, RuleTests
from controller.ruletests import rule_test_problems
from controller.sign import Signer
from schemas.bundle import Bundle
from schemas.load import load
from schemas.problems import Problem
from tests.fakes.rules_repo import BROKEN, MODEL, RULES, USE_CASE, RulesRepo, write_files
from tests.unit.controller.evals.results import FEW, two_models

TESTS = "use-cases/support/tests.yaml"
NOON = 1793880000.0
"""2026-11-05T12:00:00Z."""

MakeReconciler = Callable[..., Reconciler]


def no_tests(files: Mapping[str, str], bundle: Bundle, *, today: date) -> Sequence[Problem]:
    return ()


def remember_nothing(bundle: Bundle) -> None:
    return None


@pytest.fixture
def make_reconciler(repo: RulesRepo, publisher: Publisher) -> MakeReconciler:
    def make(
        *, load: Load = load, rule_tests: RuleTests = no_tests, heard: list[str] | None = None, **changes: object
    ) -> Reconciler:
        outcomes = heard if heard is not None else []
        parts: dict[str, object] = {"before_publish": remember_nothing} | changes
        return Reconciler(
            LocalRepository(repo.path, ref="main"),
            publisher,
            load=load,
            rule_tests=rule_tests,
            now=lambda: NOON,
            on_outcome=outcomes.append,
            **parts,  # type: ignore[arg-type]
        )

    return make


async def test_a_good_commit_runs(repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler) -> None:
    heard: list[str] = []
    reconciler = make_reconciler(heard=heard)
    commit = repo.commit()
    assert await reconciler.look()
    assert publisher.pointer is not None
    assert publisher.pointer.revision == commit
    assert (reconciler.report.revision, reconciler.report.active_revision) == (commit, commit)
    assert reconciler.report.activated_at == "2026-11-05T12:00:00.000Z"
    assert heard == ["accepted"]


async def test_a_broken_commit_changes_nothing_and_is_named_with_its_place(
    repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    reconciler = make_reconciler(heard=heard)
    good = repo.commit()
    await reconciler.look()
    running = publisher.current
    broken = repo.commit(BROKEN)
    assert await reconciler.look()
    assert publisher.current is running
    report = reconciler.report
    assert (report.revision, report.active_revision) == (broken, good)
    errors = [problem for problem in report.problems if problem.severity == "error"]
    assert [(e.file, e.line, e.column) for e in errors] == [("use-cases/support/use-case.yaml", 5, 10)]
    assert "use-cases/support/use-case.yaml:5:10" in caplog.text
    assert heard == ["accepted", "refused"]
    # It is refused once, not at every look.
    assert await reconciler.look()
    assert heard == ["accepted", "refused"]

    repaired = repo.commit()
    await reconciler.look()
    assert publisher.pointer is not None
    assert (publisher.pointer.seq, publisher.pointer.revision) == (2, repaired)
    assert not [problem for problem in reconciler.report.problems if problem.severity == "error"]


async def test_going_back_to_the_running_commit_clears_the_report(
    repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler
) -> None:
    reconciler = make_reconciler()
    good = repo.commit()
    await reconciler.look()
    repo.commit(BROKEN)
    await reconciler.look()
    repo.git("reset", "--quiet", "--hard", good)
    await reconciler.look()
    assert publisher.pointer is not None
    assert publisher.pointer.seq == 1
    assert reconciler.report.revision == good


async def test_a_rule_test_that_does_not_hold_refuses_the_revision_at_its_line(
    repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler
) -> None:
    reconciler = make_reconciler(rule_tests=rule_test_problems)
    test = "- name: goes to opus\n  request: {input_tokens: 10}\n  expect: {first: opus}\n"
    repo.commit({**RULES, "models/opus.yaml": MODEL.replace("sonnet", "opus"), TESTS: test})
    await reconciler.look()
    assert publisher.current is None
    errors = [problem for problem in reconciler.report.problems if problem.severity == "error"]
    assert [(error.file, error.line, error.code) for error in errors] == [(TESTS, 3, "rule-test-failed")]

    repo.commit({TESTS: test.replace("opus", "sonnet")})
    await reconciler.look()
    assert publisher.current is not None


async def test_a_fault_of_ours_refuses_the_revision_and_the_next_one_runs(
    repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler
) -> None:
    def fall_over_once(files: Mapping[str, str], *, today: date, revision: str) -> object:
        if revision == first:
            raise ZeroDivisionError("boom")
        return load(files, today=today, revision=revision)

    reconciler = make_reconciler(load=fall_over_once)
    first = repo.commit()
    assert await reconciler.look()
    assert [p.code for p in reconciler.report.problems] == ["internal-error"]
    assert "boom" not in reconciler.report.problems[0].message
    second = repo.commit_variant(1)
    await reconciler.look()
    assert publisher.pointer is not None
    assert publisher.pointer.revision == second


async def test_files_without_a_bundle_are_refused(
    repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler
) -> None:
    @dataclass(frozen=True)
    class Nothing:
        bundle: Bundle | None = None
        problems: tuple[Problem, ...] = ()

    reconciler = make_reconciler(load=lambda files, *, today, revision: Nothing())
    repo.commit()
    await reconciler.look()
    assert publisher.current is None
    assert [p.code for p in reconciler.report.problems] == ["no-bundle"]


async def test_a_repository_that_cannot_be_read_says_so_and_is_tried_again(
    repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler
) -> None:
    heard: list[str] = []
    reconciler = make_reconciler(heard=heard)
    assert not await reconciler.look()
    assert "no commit at 'main'" in reconciler.report.error
    repo.commit()
    assert await reconciler.look()
    assert reconciler.report.error == ""
    assert heard == ["unavailable", "accepted"]


async def test_what_cannot_be_written_now_is_tried_again_and_not_refused(
    repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler
) -> None:
    failures = [OSError(28, "No space left on device")]

    def fail_once(bundle: Bundle) -> None:
        if failures:
            raise failures.pop()

    reconciler = make_reconciler(before_publish=fail_once)
    commit = repo.commit()
    assert not await reconciler.look()
    assert "state folder" in reconciler.report.error
    assert await reconciler.look()
    assert publisher.pointer is not None
    assert publisher.pointer.revision == commit


async def test_after_a_restart_onto_a_broken_commit_the_last_good_one_still_runs(
    tmp_path: Path, signer: Signer, repo: RulesRepo, make_reconciler: MakeReconciler
) -> None:
    good = repo.commit()
    await make_reconciler().look()
    repo.commit(BROKEN)

    publisher = Publisher(StateFolder(tmp_path, epoch=9), signer)
    publisher.restore()
    reconciler = Reconciler(
        LocalRepository(repo.path, ref="main"),
        publisher,
        load=load,
        rule_tests=no_tests,
        before_publish=remember_nothing,
        now=lambda: NOON,
    )
    await reconciler.look()
    assert publisher.pointer is not None
    assert publisher.pointer.revision == good
    assert reconciler.report.active_revision == good


async def test_a_plain_folder_runs_as_it_lies(tmp_path: Path, publisher: Publisher) -> None:
    write_files(tmp_path / "plain", RULES)
    reconciler = Reconciler(
        Folder(tmp_path / "plain"),
        publisher,
        load=load,
        rule_tests=no_tests,
        before_publish=remember_nothing,
        now=lambda: NOON,
    )
    await reconciler.look()
    assert publisher.pointer is not None
    assert publisher.pointer.revision.startswith("folder:")


async def test_a_new_primary_without_evidence_does_not_run_and_the_way_back_does(
    repo: RulesRepo, publisher: Publisher, make_reconciler: MakeReconciler
) -> None:
    reconciler = make_reconciler(evidence=problems_against_running)
    strict = USE_CASE.replace("class: experimental", 'class: regulated\nlock: {vendor: anthropic, reason: "its tools"}')
    opus = {"models/opus.yaml": MODEL.replace("model: sonnet", "model: opus")}
    file = "use-cases/support/use-case.yaml"
    moved = strict.replace("primary: sonnet", "primary: opus")
    evidence = "use-cases/support/evidence/2026-11-05-opus.json"
    first = repo.commit({**RULES, **opus, file: strict})
    assert await reconciler.look()
    assert reconciler.report.active_revision == first, "a first adoption needs none"

    refused = repo.commit({file: moved})
    await reconciler.look()
    assert (reconciler.report.revision, reconciler.report.active_revision) == (refused, first)
    assert [(one.code, one.line) for one in reconciler.report.problems if one.severity == "error"] == [
        ("evidence-missing", 6)
    ]
    repo.commit({evidence: evidence_text(only_candidate=2, only_incumbent=30)})
    await reconciler.look()
    assert [one.code for one in reconciler.report.problems if one.severity == "error"] == ["evidence-against"]
    proved = repo.commit({evidence: evidence_text(only_candidate=30, only_incumbent=2)})
    await reconciler.look()
    assert reconciler.report.active_revision == proved

    (repo.path / evidence).unlink()
    kept = repo.commit({})
    await reconciler.look()
    assert reconciler.report.active_revision == kept, "nothing changes, so that nothing is asked"
    back = repo.commit({file: strict})
    await reconciler.look()
    assert reconciler.report.active_revision == back
    emergency = f"{strict.replace('sonnet', 'haiku')}emergency: {{reason: sonnet is retired, expires: 2026-11-09}}\n"
    urgent = repo.commit({file: emergency, "models/haiku.yaml": MODEL.replace("model: sonnet", "model: haiku")})
    await reconciler.look()
    assert reconciler.report.active_revision == urgent
    assert {"emergency", "evidence-missing"} <= {one.code for one in reconciler.report.problems}


def evidence_text(only_candidate: int, only_incumbent: int) -> str:
    """Of opus against sonnet on 400 samples."""
    rows = two_models(300, only_candidate, only_incumbent, 100 - only_candidate - only_incumbent)
    old, new = rows
    arms = gather("sonnet", old), gather("opus", new)
    written = write_evidence(
        compare(*arms, Decision(), resamples=FEW), use_case="support", created=date(2026, 11, 5), accepted_by={}
    )
    return written.files[written.name].decode()


@pytest.fixture
def shared(tmp_path: Path, signer: Signer) -> Iterator[Callable[[], Publisher]]:
    """Publishers of controllers that share what is kept."""
    ledger = Ledger(sqlite_at(tmp_path / "ledger.db"))

    def join() -> Publisher:
        publisher = Publisher(SharedState(ledger, now=lambda: NOON), signer)
        publisher.restore()
        return publisher

    yield join
    ledger.close()


class Lagging:
    """A reconciler over a copy of the repository, on a clock that stands still until it is turned."""

    def __init__(self, repo: RulesRepo, publisher: Publisher) -> None:
        self.repo, self.publisher, self.clock = repo, publisher, NOON
        self.reconciler = Reconciler(
            LocalRepository(repo.path, ref="main"), publisher, load=load, rule_tests=no_tests,
            before_publish=remember_nothing, now=lambda: self.clock,
        )  # fmt: skip

    async def look(self) -> bool:
        await self.publisher.catch_up()
        return await self.reconciler.look()

    def runs(self) -> str:
        return "" if self.publisher.pointer is None else self.publisher.pointer.revision


async def test_of_controllers_on_copies_of_one_repository_the_one_that_lags_undoes_nothing(
    repo: RulesRepo, shared: Callable[[], Publisher], tmp_path: Path
) -> None:
    old = repo.commit()
    repo.git("clone", "--quiet", str(repo.path), str(tmp_path / "copy"))
    ahead, behind = Lagging(repo, shared()), Lagging(RulesRepo(tmp_path / "copy"), shared())
    new = repo.commit_variant(1)
    assert await ahead.look()
    assert not await behind.look()
    assert behind.reconciler.report.error == (
        f"{old[:12]} does not follow {new[:12]}, which another controller has read: it counts if it is still there "
        f"after {DOUBT_SECONDS:g} s"
    )
    assert behind.runs() == new
    # Where it stays so, it may be a history that was rewritten: it is followed, and the one who knows better says so.
    behind.clock += DOUBT_SECONDS
    assert await behind.look()
    assert behind.runs() == old
    assert await ahead.look()
    assert ahead.runs() == new
    for _ in range(2):
        assert await behind.look()
        assert await ahead.look()
        assert (behind.runs(), ahead.runs()) == (new, new)


async def test_a_history_that_is_rewritten_is_followed_by_every_controller_after_a_while(
    repo: RulesRepo, shared: Callable[[], Publisher]
) -> None:
    one, other = Lagging(repo, shared()), Lagging(repo, shared())
    old = repo.commit()
    repo.commit_variant(1)
    for place in (one, other):
        assert await place.look()
    repo.git("reset", "--quiet", "--hard", old)
    for place in (one, other):
        assert not await place.look()
        place.clock += DOUBT_SECONDS
    for place in (one, other, one):
        assert await place.look()
        assert place.runs() == old
    assert one.publisher.pointer is not None
    assert one.publisher.pointer.seq == 2
