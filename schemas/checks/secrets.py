"""Secrets that were pasted into a rule file, comments included. A finding never repeats the secret."""

import re
from collections.abc import Iterator

from schemas.problems import Problem

_SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("an API key", re.compile(r"\b(?:sk|gsk|xai|fw|tgp|pplx|csk)[-_][A-Za-z0-9_-]{20,}")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("a bearer token", re.compile(r"\b[Bb]earer\s+[A-Za-z0-9._~+/-]{24,}")),
)


def find_secrets(file: str, text: str) -> Iterator[Problem]:
    """One finding per line and kind."""
    for number, line in enumerate(text.split("\n"), start=1):
        for what, pattern in _SECRETS:
            if match := pattern.search(line):
                yield Problem(
                    file,
                    number,
                    match.start() + 1,
                    "secret-in-file",
                    "error",
                    f"this looks like {what}",
                    "revoke it, then name an environment variable: {env: NAME}",
                )
