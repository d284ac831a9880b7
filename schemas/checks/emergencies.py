"""Emergencies: a way past missing evidence, which ends by itself."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet

MAX_DAYS: Final = 14


def emergencies_end(rules: RuleSet, today: date) -> Iterator[Problem]:
    latest = today + timedelta(days=MAX_DAYS)
    for use_case in rules.use_cases.values():
        emergency = use_case.content.emergency
        if emergency is None:
            continue
        path = ("emergency", "expires")
        if emergency.expires < today:
            message = f"the emergency ended on {emergency.expires}"
            suggestion = "take it out, with evidence for what it let pass, or with that change taken back"
            yield use_case.problem(path, "emergency-expired", message, suggestion)
        elif emergency.expires > latest:
            message = f"an emergency lasts at most {MAX_DAYS} days"
            yield use_case.problem(path, "emergency-too-long", message, f"say {latest} or earlier")
        else:
            message = f"changes pass without evidence until {emergency.expires}: {emergency.reason}"
            yield use_case.problem(path, "emergency", message, severity="warning")
