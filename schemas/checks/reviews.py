"""Reviews: models and prices move every few months, so choices are looked at again."""

from collections.abc import Iterator
from datetime import date

from schemas.checks.severity import STRICT_CLASSES, severity_for
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet


def review_dates(rules: RuleSet) -> dict[str, date]:
    """By use case, the day by which it is to be reviewed; without those that have none."""
    contents = {name: use_case.content for name, use_case in rules.use_cases.items()}
    return {name: content.review.by for name, content in contents.items() if content.review is not None}


def reviews_are_not_overdue(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        content = use_case.content
        review = content.review
        if review is None:
            if content.kind in STRICT_CLASSES:
                message = f"a {content.kind} use case has a review date"
                suggestion = f"add review: {{last: {today}, by: …}}"
                yield use_case.problem((), "review-missing", message, suggestion, severity="warning")
            continue
        if review.by < today:
            message = f"the review was due by {review.by}"
            suggestion = "look at it again, then set review.last and review.by"
            severity = severity_for(content)
            yield use_case.problem(("review", "by"), "review-overdue", message, suggestion, severity=severity)
        if review.last is not None and review.last > today:
            message = f"a review on {review.last} has not happened yet"
            yield use_case.problem(("review", "last"), "review-in-future", message, severity="warning")
        if review.last is not None and review.by < review.last:
            message = f"due by {review.by}, before the last review of {review.last}"
            yield use_case.problem(("review", "by"), "review-dates", message)
