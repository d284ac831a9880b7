"""Rule tests run the sidecar's own plan, and say what happened where a promise does not hold."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest

from controller.ruletests import coming_monday, rule_test_problems
from schemas.load import load

TODAY = date(2026, 11, 24)  # a Tuesday
USE_CASE = "use-cases/chat/use-case.yaml"
TESTS = "use-cases/chat/tests.yaml"


def model(name: str, vendor: str, doors: str, capabilities: str) -> str:
    return f"""
model: {name}
vendor: {vendor}
context_window: 1000
max_output_tokens: 100
capabilities: [{capabilities}]
served_by: [{doors}]
prices: [{{from: 2026-11-24, input: 10, output: 10}}]
"""


FILES = {
    "pointsman.yaml": "schema: 1",
    **{
        f"providers/{name}.yaml": f"provider: {name}\ndialect: openai\nbase_url: http://{name}.example/v1"
        for name in ("one", "two", "three")
    },
    "models/big.yaml": model("big", "acme", "{provider: one, name: b}, {provider: two, name: b}", "tools, vision"),
    "models/small.yaml": model("small", "zenith", "{provider: three, name: s}", "tools"),
    USE_CASE: """
use_case: chat
owner: team
primary: big
fallbacks: [small]
cost_ceiling: {per_day: 5, per_request: 0.009, then: reject}
rules:
  - {when: {hours: {start: "09:00", end: "17:00", zone: UTC, days: [sat]}}, primary: small, fallbacks: [big]}
  - {when: {header: {x-tier: gold}, metadata: {team: "a*"}, agent: bot-*, caller: c, stream: true, needs: [tools]},
     primary: small, fallbacks: [big]}
""",
}


MORE = {
    "models/new.yaml": model("new", "third", "{provider: one, name: n}", "tools"),
    "models/twin.yaml": model("twin", "acme", "{provider: two, name: t}", "tools, vision"),
    "use-cases/chat/use-case.yaml": """
use_case: chat
owner: team
primary: big
fallbacks: [small]
sticky: {by: conversation}
canary: {model: new, percent: 40}
split: [{model: twin, percent: 50}]
rules:
  - {when: {stream: true}, primary: small, fallbacks: [big]}
""",
}


def problems(test: str, more: Mapping[str, str] | None = None) -> list[tuple[int, int, str]]:
    files = {**FILES, **(more or {}), TESTS: test}
    loaded = load(files, today=TODAY, revision="x")
    assert loaded.bundle is not None, [str(problem) for problem in loaded.problems]
    found = rule_test_problems(files, loaded.bundle, today=TODAY)
    assert {(problem.file, problem.code, problem.severity) for problem in found} <= {
        (TESTS, "rule-test-failed", "error")
    }
    return [(problem.line, problem.column, problem.message.partition(": ")[2]) for problem in found]


@pytest.mark.parametrize(
    "test",
    [
        "{expect: {route: [big, small], first: big, reason: primary}}",
        "{given: {down: [one]}, expect: {route: [big, small], first: big}}",
        "{given: {down: [one, two]}, expect: {route: [small], reason: fallback, skipped: {big: down}}}",
        "{given: {down: [big]}, expect: {route: [small]}}",
        '{given: {down: ["big@one", "big@two", small]}, expect: {route: [], reason: none}}',
        "{request: {vision: true}, expect: {route: [big], skipped: {small: capability.vision}}}",
        "{request: {needs: [vision]}, expect: {route: [big]}}",
        "{request: {input_tokens: 1001}, expect: {route: [], skipped: {big: context_window}}}",
        "{request: {input_tokens: 950}, expect: {route: [], reason: cost_ceiling.per_request}}",
        "{request: {input_tokens: 100, max_output_tokens: 10}, expect: {first: big}}",
        "{given: {spent: {per_day: 5}}, expect: {route: [], reason: cost_ceiling.per_day}}",
        "{given: {spent: {per_day: 4.99}}, expect: {first: big}}",
        '{given: {at: "2026-11-28T10:00:00+01:00"}, expect: {first: small, reason: "rules[0]"}}',
        '{given: {at: "2026-11-28T17:00:00Z"}, expect: {first: big}}',
        "{request: {headers: {X-Tier: gold}, metadata: {team: abc}, agent: bot-1, caller: c, stream: true,"
        ' tools: true}, expect: {reason: "rules[1]"}}',
        "{request: {headers: {x-tier: tin}, metadata: {team: abc}, agent: bot-1, caller: c, stream: true,"
        " tools: true}, expect: {reason: primary}}",
    ],
)
def test_promises_that_hold(test: str) -> None:
    assert problems("- " + test.replace("{", "{name: t, ", 1)) == []


def test_embeddings_keep_to_one_model_as_their_calls_do() -> None:
    """The first that has them; its other door stands in, and no other model ever does."""
    embedding = {
        "models/big.yaml": model("big", "acme", "{provider: one, name: b}", "tools"),
        "models/small.yaml": model(
            "small", "zenith", "{provider: two, name: s}, {provider: three, name: s}", "embeddings"
        ),
        "models/other.yaml": model("other", "acme", "{provider: one, name: o}", "embeddings"),
        USE_CASE: "use_case: chat\nowner: team\nprimary: big\nfallbacks: [small, other]",
        TESTS: """
- name: the other door
  given: {down: [two]}
  request: {embeddings: true}
  expect: {route: [small], skipped: {big: capability.embeddings, other: other_model}}
- name: no other model
  given: {down: [small]}
  request: {embeddings: true}
  expect: {route: []}
- name: chat is another matter
  expect: {route: [big, small, other]}
""",
    }
    files = FILES | embedding
    loaded = load(files, today=TODAY, revision="x")
    assert loaded.bundle is not None, [str(problem) for problem in loaded.problems]
    assert [str(problem) for problem in rule_test_problems(files, loaded.bundle, today=TODAY)] == []


@pytest.mark.parametrize(
    "test",
    [
        "{expect: {route: [big, small], reason: primary}}",
        "{request: {conversation: CANARY}, expect: {route: [new, big, small], reason: canary}}",
        "{request: {conversation: SPLIT}, expect: {route: [twin, big, small], reason: split}}",
        "{request: {conversation: NEITHER}, expect: {route: [big, small], reason: primary}}",
        "{request: {conversation: CANARY, stream: true}, expect: {route: [small, big], reason: 'rules[0]'}}",
        "{request: {conversation: CANARY, vision: true}, expect: {first: twin, skipped: {new: capability.vision}}}",
        "{request: {conversation: CANARY}, given: {down: [new]}, expect: {first: twin, skipped: {new: down}}}",
        "{given: {answered_by: small}, expect: {route: [small, big], reason: sticky}}",
        '{given: {answered_by: "big@two"}, expect: {route: [big, small], reason: sticky}}',
        "{given: {answered_by: big}, expect: {first: big, reason: primary}}",
        "{given: {answered_by: small, down: [small]}, expect: {route: [big], reason: primary}}",
        "{given: {answered_by: small}, request: {conversation: CANARY}, expect: {route: [small, new, big]}}",
        "{given: {answered_by: new}, request: {conversation: NEITHER}, expect: {route: [big, small]}}",
    ],
)
def test_conversations_stay_and_draw_their_lots(test: str) -> None:
    named = test.replace("CANARY", "c-0").replace("SPLIT", "c-2").replace("NEITHER", "c-1")
    assert problems("- " + named.replace("{", "{name: t, ", 1), MORE) == []


@pytest.mark.parametrize(
    ("test", "line_and_column", "message"),
    [
        ("- name: t\n  expect: {route: [small, big]}", (2, 19), "expected route [small, big], but it is [big, small]"),
        ("- name: t\n  expect: {route: []}", (2, 19), "expected route [], but it is [big, small]"),
        ("- name: t\n  expect: {first: small}", (2, 19), "expected first small, but it is big"),
        ("- name: t\n  given: {down: [big, small]}\n  expect: {first: small}", (3, 19),
         "expected first small, but it is none"),
        ("- name: t\n  expect: {reason: fallback}", (2, 20), "expected reason fallback, but it is primary"),
        ("- name: t\n  expect: {skipped: {big: down}}", (2, 27), "expected skipped.big down, but it is called"),
        ("- name: t\n  given: {down: [big]}\n  expect: {skipped: {big: region}}", (3, 27),
         "expected skipped.big region, but it is down"),
    ],
)  # fmt: skip
def test_what_does_not_hold_says_what_is_instead(test: str, line_and_column: tuple[int, int], message: str) -> None:
    assert problems(test) == [(*line_and_column, message)]


def test_every_difference_of_a_test_is_named() -> None:
    found = problems("- name: t\n  expect: {route: [small], first: small, reason: fallback}")
    assert len(found) == 3


def test_without_a_time_it_is_the_noon_of_the_coming_monday() -> None:
    assert coming_monday(date(2026, 11, 23)) == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert coming_monday(date(2026, 11, 24)) == datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_a_tests_file_that_cannot_be_read_is_a_problem_too() -> None:
    loaded = load(FILES, today=TODAY, revision="x")
    assert loaded.bundle is not None
    found = rule_test_problems({**FILES, TESTS: "- nme: x"}, loaded.bundle, today=TODAY)
    assert "unknown-key" in {problem.code for problem in found}
