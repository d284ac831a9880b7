"""What each code of a problem means and how to mend it: the sections of docs/problems.md, which is the one source."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from schemas.problems import did_you_mean

PAGE = "docs/problems.md"


def explanation_of(code: str) -> str | None:
    """The section about a code; None where there is none."""
    return sections().get(code)


def unknown_code(code: str) -> str:
    """What to say of a code that there is none of."""
    hint = did_you_mean(code, sections()) or "a code stands in brackets: error[unknown-model]"
    return f'there is no code "{code}"; {hint}'


@cache
def sections() -> Mapping[str, str]:
    """Code to the text below its heading."""
    page = files("schemas").joinpath(PAGE).read_text(encoding="utf-8")
    parts = (part.partition("\n") for part in page.split("\n## ")[1:])
    return {code.strip(): text.strip() for code, _, text in parts}
