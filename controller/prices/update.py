"""A price list held against a rules repository: which files should say what. Pure: files in, findings and files out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from controller.prices.compare import bill_alike, merged, since
from controller.prices.edit import CannotEdit, with_rows
from controller.prices.known import Known, PriceList
from controller.prices.new_model import SCHEMA_LINE, Said, name_of, new_model, still_open
from controller.prices.rows import flow_row, parts
from schemas.checks.prices import price_in_force
from schemas.compile_prices import compile_prices
from schemas.rules.model import Model, ServedBy
from schemas.rules.price import Price
from schemas.yaml_source import Path, parse_yaml

State = Literal["new", "changed", "same", "unknown", "contract", "by_hand"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one model at one provider."""

    file: str
    model: str
    provider: str
    state: State
    message: str


@dataclass(frozen=True, slots=True)
class Update:
    findings: tuple[Finding, ...]
    files: Mapping[str, str]
    """Path to text of every file that is to be written."""


def update_prices(texts: Mapping[str, str], sources: Mapping[str, str], prices: PriceList, today: date) -> Update:
    """The doors of all models to these providers.

    Args:
        texts: the files of all models, by path.
        sources: provider → its name in the price list.
    """
    findings: list[Finding] = []
    written: dict[str, str] = {}
    for file, text in sorted(texts.items()):
        for index in range(len(_model(text).served_by)):
            door = _model(text).served_by[index]
            if door.provider in sources:
                known = prices.find(sources[door.provider], door.name)
                text, finding = _updated(file, text, index, known, prices.name, today)
                findings.append(finding)
        if text != texts[file]:
            written[file] = text
    return Update(tuple(findings), written)


def add_models(
    texts: Mapping[str, str], wanted: Iterable[Known], provider: str, source: str, prices: PriceList, said: Said
) -> Update:
    """A file for each model that this provider does not serve yet."""
    served = {
        listed.name
        for text in texts.values()
        for door in _model(text).served_by
        if door.provider == provider and (listed := prices.find(source, door.name)) is not None
    }
    schema = next((line for text in texts.values() if (line := text.partition("\n")[0]).startswith(SCHEMA_LINE)), "")
    findings: list[Finding] = []
    written: dict[str, str] = {}
    for known in wanted:
        if known.name in served:
            continue
        file = f"models/{name_of(known)}.yaml"
        found = Finding(file, name_of(known), provider, "new", "")
        if not known.rows:
            findings.append(replace(found, state="unknown", message=_why_unknown(known.name, known, prices.name)))
        elif file in texts or file in written:
            row = f'{{provider: {provider}, name: "{known.name}"}}'
            message = f"there is a model of this name; if it is the same one, add to its served_by: {row}"
            findings.append(replace(found, state="by_hand", message=message))
        else:
            text = new_model(known, provider, source, prices.name, said, schema)
            words = [f"to be filled in: {', '.join(still_open(text))}"] if still_open(text) else []
            written[file] = text
            findings.append(replace(found, message="; ".join([*words, *_notes(known, ())])))
    return Update(tuple(findings), written)


def _updated(file: str, text: str, index: int, known: Known | None, source: str, today: date) -> tuple[str, Finding]:
    model = _model(text)
    door = model.served_by[index]
    found = Finding(file, model.model, door.provider, "same", "")
    written = price_in_force(door.prices or model.prices, today)
    if known is None or not known.rows:
        return text, replace(found, state="unknown", message=_why_unknown(door.name, known, source))
    if written is not None and written.contract:
        return text, replace(found, state="contract", message=f"your own price since {written.since}")
    kept = merged(known.rows[0], written)
    rows = _missing(known, kept.row, written, door.prices or model.prices, today)
    if door.price_times is not None:
        return text, _with_a_factor(found, model, door, kept.row, today)
    if not rows:
        return text, found
    if any(row.since == price.since for row in rows for price in door.prices or model.prices):
        message = f"a row from {rows[-1].since} stands there already; by {source} it would be {flow_row(rows[-1])}"
        return text, replace(found, state="by_hand", message=message)
    path, rows = _place(model, index, rows)
    try:
        text = with_rows(text, path, rows)
    except CannotEdit as error:
        return text, replace(found, state="by_hand", message=f"{error}; add {', '.join(map(flow_row, rows))}")
    words = [_difference(rows[-1] if written is None else rows[0], written), *_notes(known, kept.words)]
    return text, replace(found, state="changed", message="; ".join(words))


def _missing(known: Known, row: Price, written: Price | None, there: Sequence[Price], today: date) -> tuple[Price, ...]:
    """Rows that the file lacks, newest first: the one in force where it bills otherwise, and what is announced."""
    missing: list[Price] = []
    if written is None or not bill_alike(row, written):
        is_later = known.is_dated and (written is None or row.since > written.since)
        missing.append(row if is_later else since(row, today))
    for announced in known.rows[1:]:
        later = merged(announced, written).row
        if not any(price.since == later.since and bill_alike(price, later) for price in there):
            missing.append(later)
    return tuple(reversed(missing))


def _place(model: Model, index: int, rows: tuple[Price, ...]) -> tuple[Path, tuple[Price, ...]]:
    """The model's prices belong to the first door that has none of its own; another such door gets its own.

    A door's own prices replace the model's altogether, so that what was in force before is repeated there.
    """
    if model.served_by[index].prices:
        return ("served_by", index, "prices"), rows
    first = next(i for i, door in enumerate(model.served_by) if not door.prices and door.price_times is None)
    if index == first:
        return ("prices",), rows
    days = {row.since for row in rows}
    past = sorted((row for row in model.prices if row.since not in days), key=lambda row: row.since, reverse=True)
    return ("served_by", index, "prices"), (*rows, *past)


def _with_a_factor(found: Finding, model: Model, door: ServedBy, row: Price, today: date) -> Finding:
    in_force = [price for price in compile_prices(model, door) if price.since <= today.isoformat()]
    if in_force and (in_force[0].input, in_force[0].output) == (row.input, row.output):
        return found
    message = f"price_times {door.price_times} does not give {flow_row(row)}"
    return replace(found, state="by_hand", message=message)


def _why_unknown(name: str, known: Known | None, source: str) -> str:
    if known is None:
        return f'"{name}" is not known to {source}'
    return f'"{name}" is billed by what a row cannot say: {", ".join(known.not_said) or "not by tokens"}'


def _difference(row: Price, written: Price | None) -> str:
    """`from 2026-11-25: input 3 → 3.50, cache_write_1h – → 6`."""
    if written is None:
        return f"now {flow_row(row)}"
    before, now = parts(written), parts(row)
    changes = (f"{name} {before.get(name, '–')} → {now.get(name, '–')}" for name in {**before, **now}
               if before.get(name) != now.get(name))  # fmt: skip
    return f"from {row.since}: {', '.join(changes)}"


def _notes(known: Known, kept: Sequence[str]) -> Iterator[str]:
    if kept:
        yield f"kept, since the list does not say: {', '.join(kept)}"
    if known.not_said:
        yield f"also billed, which a row cannot say: {', '.join(known.not_said)}"


def _model(text: str) -> Model:
    document, _ = parse_yaml("", text)
    assert document is not None
    return Model.model_validate(document.data)
