"""Secrets that were pasted into a rule file, comments included. A finding never repeats the secret."""

import re
from collections.abc import Iterator

from schemas.problems import Problem

_SECRETS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    ("a private key", ("PRIVATE KEY",), re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    (
        "an API key",
        tuple(f"{start}{dash}" for start in ("sk", "xai", "fw", "tgp", "pplx") for dash in "-_"),
        re.compile(r"\b(?:sk|gsk|xai|fw|tgp|pplx|csk)[-_][A-Za-z0-9_-]{20,}"),
    ),
    ("an AWS access key", ("AKIA", "ASIA"), re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a Google API key", ("AIza",), re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    (
        "a GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
    ),
    ("a Hugging Face token", ("hf_",), re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    ("a Slack token", ("xox",), re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("a bearer token", ("earer",), re.compile(r"\b[Bb]earer[ \t]+[A-Za-z0-9._~+/-]{24,}")),
)
"""What it is, a part that it surely contains (thousands of files are looked through for each), and its form."""


def find_secrets(file: str, text: str) -> Iterator[Problem]:
    """One finding per line and kind."""
    for what, parts, pattern in _SECRETS:
        if not any(part in text for part in parts):
            continue
        said: set[int] = set()
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            column = match.start() - text.rfind("\n", 0, match.start())
            if line not in said:
                said.add(line)
                suggestion = "revoke it, then name an environment variable: {env: NAME}"
                message = f"this looks like {what}"
                yield Problem(file, line, column, "secret-in-file", "error", message, suggestion)
