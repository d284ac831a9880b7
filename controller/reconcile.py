"""From a commit to what runs, as a list of steps. A revision that a step refuses changes nothing but the report."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final, Protocol

from controller import logs
from controller.canaries.terms import Terms, terms_of
from controller.channel import Channel, Policy, Superseded
from controller.errors import ForeignKey, LedgerUnavailable, Refused, SourceUnavailable
from controller.publish import Publication, Publisher
from controller.tree import Source, Tree
from schemas.bundle import Bundle, BundleRefused
from schemas.problems import Problem, Severity, has_errors
from schemas.rules.platform import Rollout
from schemas.rules.rule_set import RuleSet

DOUBT_SECONDS: Final = 60.0
"""Servers of one forge agree on a branch within moments; a rewritten history is followed that much later."""


class Loaded(Protocol):
    """What reading a tree of rule files gives."""

    @property
    def bundle(self) -> Bundle | None: ...
    @property
    def problems(self) -> Sequence[Problem]: ...
    @property
    def rule_set(self) -> RuleSet | None: ...


class Load(Protocol):
    """`schemas.load.load`: pure, and slow enough to be kept off the event loop."""

    def __call__(self, files: Mapping[str, str], *, today: date, revision: str) -> Loaded: ...


class RuleTests(Protocol):
    """`controller.ruletests.rule_test_problems`: the teams' own tests of their rules, run against the bundle."""

    def __call__(self, files: Mapping[str, str], bundle: Bundle, *, today: date) -> Sequence[Problem]: ...


class Evidence(Protocol):
    """`controller.evals.proofs.problems_against_running`: what a revision changes without evidence."""

    def __call__(
        self, files: Mapping[str, str], after: RuleSet, running: Bundle, earlier: Sequence[Bundle], today: date
    ) -> Sequence[Problem]: ...


class Offer(Protocol):
    """`controller.stages.Stages.offer`: to all at once, or to some sidecars first."""

    async def __call__(
        self, bundle: Bundle, policy: Policy, min_sidecars: int, seen: Channel, canaries: tuple[Terms, ...]
    ) -> Publication: ...


@dataclass(frozen=True, slots=True)
class Report:
    """Why it runs what it runs. Tried, fetched and activated are three things with their own times (RFC 3339, UTC)."""

    revision: str = ""
    """The newest revision seen."""
    active_revision: str = ""
    problems: tuple[Problem, ...] = ()
    """Of the newest revision; with an error among them it does not run."""
    error: str = ""
    """Why the source could not be read at the last look; empty when it could."""
    tried_at: str = ""
    fetched_at: str = ""
    activated_at: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """One revision on its way through the steps."""

    revision: str = ""
    seen: Channel = field(default_factory=Channel)
    """As it was before the revision was fetched: what comes of it must not go over what others did meanwhile."""
    tree: Tree = field(default_factory=lambda: Tree(""))
    bundle: Bundle | None = None
    rules: RuleSet | None = None
    rollout: Rollout = field(default_factory=Rollout)
    canaries: tuple[Terms, ...] = ()
    problems: tuple[Problem, ...] = ()
    publication: Publication | None = None


Step = Callable[[Work], Awaitable[Work]]


class Reconciler:
    """Runs the steps whenever its source may have something new, one revision at a time; the newest wins."""

    def __init__(
        self,
        source: Source,
        publisher: Publisher,
        *,
        load: Load,
        rule_tests: RuleTests,
        before_publish: Callable[[Bundle], None],
        now: Callable[[], float],
        on_outcome: Callable[[str], None] = lambda outcome: None,
        offer: Offer | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        """Nothing is looked at before `run` or `look`.

        Args:
            now: seconds since the epoch.
            on_outcome: hears `accepted`, `refused` or `unavailable`.
            offer: how a revision gets to the fleet; None: to all at once.
            evidence: what a revision lacks against the one that runs; None: nothing is asked.
        """
        self._source = source
        self._publisher = publisher
        self._load = load
        self._rule_tests = rule_tests
        self._before_publish = before_publish
        self._now = now
        self._on_outcome = on_outcome
        self._offer = offer
        self._evidence = evidence
        self._one_at_a_time = asyncio.Lock()
        self._hint = asyncio.Event()
        self._is_seen_anew = False
        self._doubted: tuple[str, float] | None = None
        """A revision that does not follow the fleet's newest one, and when it was first seen."""
        self._steps: tuple[Step, ...] = (
            self._read_tree, self._look_twice, self._load_rules, self._ask_for_evidence, self._run_rule_tests,
            self._publish,
        )  # fmt: skip
        self.report = Report(active_revision=_revision_of(publisher.current))

    async def run(self) -> None:
        """Never returns by itself; whatever goes wrong with one revision, the next one is looked at."""
        hints = asyncio.create_task(self._follow_hints())
        try:
            async with aclosing(self._source.looks()) as looks:
                async for _ in looks:
                    await self._look_until_done()
        finally:
            hints.cancel()

    def hint(self) -> None:
        """There may be something new: looks now, once for however many hints."""
        self._hint.set()

    def look_again(self) -> None:
        """Takes the newest revision through the steps once more, now: what may run has changed."""
        self._is_seen_anew = True
        self.hint()

    async def _follow_hints(self) -> None:
        while True:
            await self._hint.wait()
            self._hint.clear()
            await self._look_until_done()

    async def _look_until_done(self) -> None:
        while True:
            if await self.look():
                return
            await asyncio.sleep(self._source.retry_seconds)

    async def look(self) -> bool:
        """Takes the newest revision through the steps, unless it has been already. False: try again soon."""
        async with self._one_at_a_time:
            while self._publisher.channel.suspended is None:
                try:
                    return await self._look()
                except Superseded:
                    self._is_seen_anew = True
                try:
                    await self._publisher.catch_up()
                except LedgerUnavailable as error:
                    self._note_unavailable(f"cannot read what the fleet is to run: {error}")
                    return False
            return True

    async def _look(self) -> bool:
        seen = self._publisher.channel
        running = _revision_of(self._publisher.current)
        self.report = replace(self.report, tried_at=self._stamp(), active_revision=running)
        try:
            revision = await self._source.fetch()
        except SourceUnavailable as error:
            self._note_unavailable(str(error))
            return False
        except Exception as bug:
            self._note_unavailable(f"internal error: {type(bug).__name__}", bug)
            return False
        self.report = replace(self.report, fetched_at=self._stamp())
        if revision == self.report.revision and not self._is_seen_anew and not await self._is_put_back(revision, seen):
            self.report = replace(self.report, error="")
            return True
        self._is_seen_anew = False
        work = Work(revision, seen)
        try:
            for step in self._steps:
                work = await step(work)
        except Refused as refused:
            self._note_refused(revision, refused.problems)
        except (SourceUnavailable, LedgerUnavailable, ForeignKey, OSError) as error:
            self._is_seen_anew = True
            self._note_unavailable(_cause(error))
            return False
        except Superseded:
            raise
        except Exception as bug:
            # Whatever a revision contains, it must not end the controller: it is refused; the log has the traceback.
            logs.bug("revision.failed", bug, revision=revision)
            self._note_refused(revision, [_about_revision("internal-error", f"{type(bug).__name__}; see the log")])
        else:
            self._note_accepted(work)
        return True

    async def _is_put_back(self, revision: str, seen: Channel) -> bool:
        """Another controller has followed an older revision since this one was taken up: the later one counts."""
        if not self._publisher.is_shared or seen.head is None or seen.head.revision == revision:
            return False
        return not has_errors(self.report.problems) and await self._source.follows(revision, seen.head.revision)

    async def _read_tree(self, work: Work) -> Work:
        tree = await self._source.read(work.revision)
        return replace(work, tree=tree, problems=_unless_refused((*tree.problems, *await self._of_history(work))))

    async def _of_history(self, work: Work) -> list[Problem]:
        """A rewritten history is followed, as it may be the way back from a mistake; but never in silence."""
        before = self.report.active_revision
        if before in ("", work.revision) or await self._source.follows(work.revision, before):
            return []
        message = f"{before[:12]}, which runs, is not in the history of {work.revision[:12]}: it was rewritten"
        return [_about_revision("history-rewritten", message, "warning")]

    async def _look_twice(self, work: Work) -> Work:
        """A revision that does not follow the newest one may come from a copy of the repository that lags behind what
        another controller has read: it counts when it is still there a while later.
        """
        head = work.seen.head
        if (
            not self._publisher.is_shared
            or head is None
            or head.revision == work.revision
            or await self._source.follows(work.revision, head.revision)
        ):
            self._doubted = None
            return work
        if self._doubted is None or self._doubted[0] != work.revision:
            self._doubted = (work.revision, self._now())
        if self._now() - self._doubted[1] < DOUBT_SECONDS:
            raise SourceUnavailable(
                f"{work.revision[:12]} does not follow {head.revision[:12]}, which another controller has read: it "
                f"counts if it is still there after {DOUBT_SECONDS:g} s"
            )
        return work

    async def _load_rules(self, work: Work) -> Work:
        loaded = await asyncio.to_thread(self._load, work.tree.files, today=self._today(), revision=work.revision)
        problems = _unless_refused((*work.problems, *loaded.problems))
        if loaded.bundle is None:
            raise Refused([*problems, _about_revision("no-bundle", "these files make no bundle")])
        work = replace(work, bundle=loaded.bundle, problems=problems)
        rules = loaded.rule_set
        if rules is None:
            return work
        rollout = rules.platform.content.rollout
        return replace(work, rules=rules, rollout=rollout, canaries=terms_of(rules))

    async def _ask_for_evidence(self, work: Work) -> Work:
        running, earlier = await asyncio.to_thread(self._publisher.running_and_earlier)
        if self._evidence is None or running is None or work.rules is None:
            return work
        lacking = await asyncio.to_thread(self._evidence, work.tree.files, work.rules, running, earlier, self._today())
        return replace(work, problems=_unless_refused({*work.problems, *lacking}))

    async def _run_rule_tests(self, work: Work) -> Work:
        failures = await asyncio.to_thread(self._rule_tests, work.tree.files, _bundle_of(work), today=self._today())
        return replace(work, problems=_unless_refused({*work.problems, *failures}))

    async def _publish(self, work: Work) -> Work:
        bundle = _bundle_of(work)
        self._before_publish(bundle)
        try:
            return replace(work, publication=await self._offered(work, bundle))
        except BundleRefused as error:
            raise Refused([*work.problems, _about_revision("bundle-refused", str(error))]) from error

    async def _offered(self, work: Work, bundle: Bundle) -> Publication:
        if self._offer is None:
            return await self._publisher.publish(bundle)
        policy = policy_of(work.rollout, is_urgent=work.tree.is_urgent)
        return await self._offer(bundle, policy, work.rollout.min_sidecars, work.seen, work.canaries)

    def _note_accepted(self, work: Work) -> None:
        publication = work.publication
        assert publication is not None  # the last step sets it
        self.report = replace(
            self.report, revision=work.revision, active_revision=publication.pointer.revision, problems=work.problems,
            error="", activated_at=self._stamp(),
        )  # fmt: skip
        pointer = publication.pointer
        logs.event("revision.accepted", revision=work.revision, seq=pointer.seq, digest=pointer.digest,
                   use_cases=len(_bundle_of(work).use_cases), warnings=len(work.problems))  # fmt: skip
        for problem in work.problems:
            logs.plain(str(problem))
        self._on_outcome("accepted")

    def _note_refused(self, revision: str, problems: Sequence[Problem]) -> None:
        self.report = replace(self.report, revision=revision, problems=tuple(problems), error="")
        for problem in problems:
            logs.plain(str(problem))
        logs.warn("revision.refused", revision=revision, problems=len(problems),
                  active_revision=self.report.active_revision or "none")  # fmt: skip
        self._on_outcome("refused")

    def _note_unavailable(self, error: str, bug: Exception | None = None) -> None:
        if error != self.report.error:  # once, not at every retry
            logs.warn("source.unavailable", source=self._source.name, error=error)
            if bug is not None:
                logs.bug("source.failed", bug)
        self.report = replace(self.report, error=error)
        self._on_outcome("unavailable")

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now(), UTC).date()

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def policy_of(rollout: Rollout, *, is_urgent: bool) -> Policy:
    of_this = rollout.urgent if is_urgent else rollout
    return Policy(of_this.stages, of_this.bake, rollout.min_calls)


def _unless_refused(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    ordered = tuple(sorted(problems))
    if has_errors(ordered):
        raise Refused(ordered)
    return ordered


def _cause(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot write the state folder: {error}"
    return f"{'' if isinstance(error, SourceUnavailable) else 'cannot write what the fleet is to run: '}{error}"


def _bundle_of(work: Work) -> Bundle:
    assert work.bundle is not None  # the step before sets it, or refuses
    return work.bundle


def _about_revision(code: str, message: str, severity: Severity = "error") -> Problem:
    return Problem(".", 0, 0, code, severity, message)


def _revision_of(publication: Publication | None) -> str:
    return "" if publication is None else publication.pointer.revision
