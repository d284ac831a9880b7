"""What a conversion gives, as golden files hold it, and what `check` says of it."""

from datetime import date

from controller.migrate.notes import Converted
from controller.prices.known import PriceList
from schemas.load import load

TODAY = date(2026, 11, 26)
PRICES = PriceList(TODAY)


def shown(result: Converted) -> str:
    files = [f"== {path}\n{text}" for path, text in sorted(result.files.items())]
    notes = [f"{note.line} {'!' if note.needs_you else '-'} {note.key}  {note.says}\n" for note in result.notes]
    return "".join((*files, "== notes\n", *notes))


def errors_of(result: Converted) -> list[str]:
    loaded = load(dict(result.files), today=TODAY, revision="none")
    return [str(problem) for problem in loaded.problems if problem.severity == "error"]
