"""The names that limits go by."""

from schemas.bundle import Limits
from sidecar.limits.rules import rules_of


def test_only_what_is_limited_is_a_rule_and_each_has_its_name() -> None:
    rules = rules_of("use_case", "chat", Limits(requests_per_minute=5, concurrency=2, enforce=False))
    assert {kind: (rule.limit, rule.id, rule.reason, rule.is_enforced) for kind, rule in rules.items()} == {
        "requests_per_minute": (
            5, "limit.use_case.chat.requests_per_minute", "limit.use_case.requests_per_minute", False,
        ),
        "concurrency": (2, "limit.use_case.chat.concurrency", "limit.use_case.concurrency", False),
    }  # fmt: skip
