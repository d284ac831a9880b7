"""Rule tests: facts and faults in, route out, by the sidecar's own plan. What does not hold says what is instead."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from schemas.bundle import Bundle, BundleRefused
from schemas.load import load_rule_tests
from schemas.problems import Problem
from schemas.rules.rule_set import RuleFile
from schemas.rules.rule_tests import Expect, Given, RuleTest, RuleTests
from schemas.yaml_source import Path
from sidecar.routing.facts import Facts, parse_facts
from sidecar.routing.plan import Plan, Spend, plan
from sidecar.routing.scope import for_facts
from sidecar.routing.snapshot import Snapshot, UseCase, build_snapshot

DOWN = "down"
"""The reason under which a plan skips what a test declares to be down."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """One rule test as it ended; it holds when there is no problem."""

    __test__ = False  # the name is our word; pytest shall not collect it

    use_case: str
    name: str
    problems: tuple[Problem, ...]
    route: tuple[tuple[str, str], ...] = ()
    """What happened: targets in order, each with its reason, then those that were skipped."""
    reasons: frozenset[str] = frozenset()
    """Why targets were called, or the call refused: the rules and ceilings that this test reached."""

    @property
    def holds(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The world around a call, as a plan takes it."""

    resting: Mapping[str, str]
    spend: Spend
    at: datetime
    answered_by: str | None = None


def rule_test_problems(files: Mapping[str, str], bundle: Bundle, *, today: date) -> tuple[Problem, ...]:
    """What does not hold, over the rule tests among `files`."""
    tests, unreadable = load_rule_tests(files)
    try:
        results = run_rule_tests(tests, build_snapshot(bundle), today=today)
    except BundleRefused as error:
        return (Problem("pointsman.yaml", 0, 0, "cannot-run", "error", str(error)),)
    return (*unreadable, *(problem for result in results for problem in result.problems))


def run_rule_tests(
    tests: Mapping[str, RuleFile[RuleTests]], snapshot: Snapshot, *, today: date
) -> tuple[TestResult, ...]:
    """Every test of every use case, in order of their files."""
    return tuple(
        _result(name, file, index, test, snapshot.use_cases[name], today)
        for name, file in sorted(tests.items())
        if name in snapshot.use_cases
        for index, test in enumerate(file.content.root)
    )


def circumstances(given: Given, *, otherwise_at: datetime) -> Circumstances:
    """What is given, with the time that holds where none is given."""
    return Circumstances(
        resting=dict.fromkeys(given.down, DOWN),
        spend=Spend(
            per_day=given.spent.per_day or Spend().per_day, per_month=given.spent.per_month or Spend().per_month
        ),
        at=(given.at or otherwise_at).astimezone(UTC),
        answered_by=given.answered_by,
    )


def coming_monday(today: date) -> datetime:
    """Noon (UTC) of today if it is a Monday, else of the next: one weekday and hour for all runs, at current prices."""
    monday = today + timedelta(days=-today.weekday() % 7)
    return datetime.combine(monday, time(12), tzinfo=UTC)


def planned_for(use_case: UseCase, facts: Facts, world: Circumstances) -> Plan:
    scoped = for_facts(use_case, facts)
    return plan(scoped, facts, resting=world.resting, spend=world.spend, at=world.at, answered_by=world.answered_by)


def route_of(plan: Plan) -> tuple[str, ...]:
    """Models in the order in which they would be called, each once however many providers serve it."""
    return tuple(dict.fromkeys(step.target.model for step in plan.steps))


def untested(results: Sequence[TestResult], snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """Use case and what no test of it reaches: its primary, a rule, or a ceiling."""
    reached: dict[str, set[str]] = {}
    for result in results:
        reached.setdefault(result.use_case, set()).update(result.reasons)
    return tuple(
        (name, reason)
        for name, use_case in sorted(snapshot.use_cases.items())
        for reason in reasons_of(use_case)
        if reason not in reached.get(name, ())
    )


def reasons_of(use_case: UseCase) -> tuple[str, ...]:
    """The reasons under which this use case's rules may call or refuse."""
    ceiling = use_case.ceiling
    parts = ("per_request", "per_day", "per_month")
    soft = [f"cost_ceiling.{part}" for part in parts if ceiling and getattr(ceiling, part) is not None]
    hard = [f"cost_ceiling.hard.{part}" for part in parts[1:] if ceiling and getattr(ceiling.hard, part) is not None]
    return ("primary", *(f"rules[{index}]" for index in range(len(use_case.rules))), *soft, *hard)


def _result(
    name: str, file: RuleFile[RuleTests], index: int, test: RuleTest, use_case: UseCase, today: date
) -> TestResult:
    facts = parse_facts(_facts_written(test))
    made = planned_for(use_case, facts, circumstances(test.given, otherwise_at=coming_monday(today)))
    route = [(f"{step.target.model}@{step.target.provider}", step.reason) for step in made.steps]
    route += [(f"{item.model}@{item.provider}", f"skipped: {item.reason}") for item in made.skipped]
    reasons = {step.reason for step in made.steps} | {made.refusal or ""}
    problems = tuple(_failures(file, index, test, made))
    return TestResult(name, test.name, problems, tuple(route), frozenset(reasons))


def _failures(file: RuleFile[RuleTests], index: int, test: RuleTest, made: Plan) -> Iterator[Problem]:
    for key, wanted, happened in differences(test.expect, made):
        path: Path = (index, "expect", *key)
        message = f'"{test.name}" does not hold: expected {".".join(key)} {wanted}, but it is {happened}'
        yield file.problem(path, "rule-test-failed", message, _why(made))


def _facts_written(test: RuleTest) -> dict[str, object]:
    written = test.request.model_dump(exclude_unset=True)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in written.items()}


def differences(expect: Expect, made: Plan) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Key, what was expected, and what is instead."""
    route = route_of(made)
    first = route[0] if route else "none"
    reason = made.steps[0].reason if made.steps else made.refusal or "none"
    if expect.route is not None and expect.route != route:
        yield ("route",), _listed(expect.route), _listed(route)
    if expect.first is not None and expect.first != first:
        yield ("first",), expect.first, first
    if expect.reason is not None and expect.reason != reason:
        yield ("reason",), expect.reason, reason
    for model, wanted in expect.skipped.items():
        reasons = {item.reason for item in made.skipped if item.model == model}
        if model in route:
            yield ("skipped", model), wanted, "called"
        elif wanted not in reasons:
            yield ("skipped", model), wanted, " and ".join(sorted(reasons)) or "not in the chain"


def _listed(models: Sequence[str]) -> str:
    return f"[{', '.join(models)}]"


def _why(made: Plan) -> str:
    skipped = ", ".join(f"{item.model}@{item.provider} ({item.reason})" for item in made.skipped)
    return f"skipped: {skipped}" if skipped else ""
