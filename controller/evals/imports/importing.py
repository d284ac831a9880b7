"""A file of another tool's results to rows: who wrote it, which score counts, whose results they are. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from controller.evals.imports import braintrust, inspect, langfuse, promptfoo, table
from controller.evals.imports.found import Found, Unclear, at_path
from controller.evals.read import Results, read_records
from controller.evals.values import WrongValue, is_missing, success_of
from schemas.problems import Problem, did_you_mean

SOURCES: Final[Mapping[str, ModuleType]] = {
    "inspect": inspect,
    "promptfoo": promptfoo,
    "braintrust": braintrust,
    "langfuse": langfuse,
    "table": table,
}
"""Each has `fits(data)`, for a file that does not say whose it is, and `read(data)`."""
FIELDS: Final = (*sorted(table.COLUMNS), "scores.NAME")
UNANSWERED: Final = frozenset({"model_error", "timeout"})
NAMED: Final = 12


class UnclearChoice(Exception):
    """What was asked for is not in the file; `str(error)` says what is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    model: str | None = None
    """Only this one's results, where the file has several; else the name that they get."""
    metric: str | None = None
    """The score that is the primary metric."""
    pass_at: float | None = None
    """From here on it is a success: 1, else 0."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of the file to fields of `Row`."""


@dataclass(frozen=True, slots=True)
class Imported:
    results: Results
    notes: tuple[str, ...]
    """What was decided on the way, and what was left out."""


def source_of(data: bytes) -> str | None:
    """Who wrote it, where that is plain."""
    return next((name for name, source in SOURCES.items() if source.fits(data)), None)


def import_results(data: bytes, file: str, source: str, wishes: Wishes) -> Imported:
    """
    Raises:
        UnclearChoice: a wish that the file cannot meet.
    """
    notes: list[str] = []
    try:
        found = [_mapped(one, wishes.columns) for one in SOURCES[source].read(data)]
        _check_columns(found, wishes)
        if source == "inspect":
            notes += _ended(inspect.status_of(data))
    except Unclear as error:
        problem = Problem(file, error.number, 0, "unclear-result", "error", error.message, error.suggestion)
        return Imported(Results((), (problem,)), ())
    found = list(_of_model(found, wishes, notes))
    metric = _metric(found, wishes)
    left_out: Counter[str] = Counter()
    records = [(one.number, _record(one, metric, wishes.pass_at, left_out)) for one in _repeated(found)]
    notes += [f'score "{name}" holds words, no numbers: left out' for name in sorted(left_out)]
    return Imported(read_records(records, file, default_model=""), tuple(notes))


def _mapped(found: Found, columns: Mapping[str, str]) -> Found:
    own = {name: value for column, name in columns.items() if (value := at_path(found.record, column)) is not None}
    scores = {name.removeprefix("scores."): value for name, value in own.items() if name.startswith("scores.")}
    plain = {name: value for name, value in own.items() if not name.startswith("scores.")}
    return Found(found.number, {**found.columns, **plain}, found.record, {**found.scores, **scores})


def _check_columns(found: Sequence[Found], wishes: Wishes) -> None:
    """
    Raises:
        Unclear: results without a sample, or none with anything that could be their success.
    """
    for one in found:
        if "sample_id" not in one.columns:
            message = f"has no sample_id; it has {_named(one)}"
            raise Unclear(message, "name the column of the samples: --map COLUMN=sample_id", one.number)
    if found and wishes.metric is None and not any("success" in one.columns or one.scores for one in found):
        message = f"has no success and no scores; it has {_named(found[0])}"
        raise Unclear(message, "name the column of the verdicts: --map COLUMN=success")


def _named(found: Found) -> str:
    return ", ".join(list(found.record)[:NAMED]) or "nothing"


def _of_model(found: Sequence[Found], wishes: Wishes, notes: list[str]) -> Iterator[Found]:
    models = sorted({str(one.columns["model"]) for one in found if not is_missing(one.columns.get("model"))})
    if wishes.model is None and any(is_missing(one.columns.get("model")) for one in found):
        raise UnclearChoice("the file does not say whose results all of them are; name the model by --model")
    if wishes.model is None or wishes.model in models:
        yield from (one for one in found if wishes.model in (None, str(one.columns.get("model"))))
        return
    if len(models) > 1:
        near = did_you_mean(wishes.model, models) or f"there are {', '.join(models)}"
        raise UnclearChoice(f'--model: no result is of "{wishes.model}"; {near}')
    if models:
        notes.append(f'results of "{models[0]}" are written as those of "{wishes.model}"')
    yield from (Found(one.number, {**one.columns, "model": wishes.model}, one.record, one.scores) for one in found)


def _metric(found: Sequence[Found], wishes: Wishes) -> str | None:
    """The score that counts; None where the tool's own verdict does."""
    names = sorted({name for one in found for name in one.scores})
    if wishes.metric is not None:
        if wishes.metric in names or any(at_path(one.record, wishes.metric) is not None for one in found):
            return wishes.metric
        near = did_you_mean(wishes.metric, names)
        raise UnclearChoice(
            f'--metric: there is no score "{wishes.metric}"; {near or "there are " + (", ".join(names) or "none")}'
        )
    if any("success" in one.columns for one in found):
        return None
    if len(names) == 1:
        return names[0]
    if names:
        raise UnclearChoice(f"there are several scores; choose one by --metric: {', '.join(names[:NAMED])}")
    return None


def _repeated(found: Sequence[Found]) -> Iterator[Found]:
    """Results of one sample without a count are its repetitions, in the order in which they stand."""
    seen: defaultdict[object, int] = defaultdict(int)
    for one in found:
        if "epoch" in one.columns:
            yield one
            continue
        key = tuple(str(one.columns.get(name)) for name in ("run_id", "model", "sample_id"))
        seen[key] += 1
        yield Found(one.number, {**one.columns, "epoch": seen[key]}, one.record, one.scores)


def _record(found: Found, metric: str | None, pass_at: float | None, left_out: Counter[str]) -> dict[str, Any]:
    record = {name: value for name, value in found.columns.items() if value is not None}
    value = record.get("success")
    if metric is not None:
        value = found.scores[metric] if metric in found.scores else at_path(found.record, metric)
    status = record.get("status", "ok")
    if status in UNANSWERED:
        value = 0
    elif status == "grader_error":
        value = None
    elif is_missing(value):
        # It was answered, and nobody could grade it.
        record["status"] = "grader_error"
    record["success"] = _passed(value, pass_at)
    record["scores"] = {}
    for name, score in found.scores.items():
        try:
            record["scores"][name] = success_of(score)
        except WrongValue:
            left_out[name] += 1
    return record


def _passed(value: Any, pass_at: float | None) -> Any:
    if pass_at is None:
        return value
    try:
        number = success_of(value)
    except WrongValue:
        return value
    return None if number is None else float(number >= pass_at)


def _ended(status: str) -> list[str]:
    if status == "success":
        return []
    return [f'the run ended as "{status}": only samples that were done by then are in the log']
