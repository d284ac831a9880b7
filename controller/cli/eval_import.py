"""`pointsman eval import`: results of another tool, as rows that `eval compare` reads."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.rules_folder import print_first, refused
from controller.evals.imports.importing import (
    FIELDS,
    SOURCES,
    UnclearChoice,
    Wishes,
    import_results,
    source_of,
)
from controller.evals.rows import Row
from controller.evals.values import number_of
from controller.evals.written import save_rows
from schemas.problems import did_you_mean

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "import", help="results of Inspect AI, promptfoo, Braintrust, Langfuse or a table of your own, to compare",
        description="Reads what another tool recorded and writes a row per sample and model, as `eval compare` takes "
        "them. Exit status: 0 written, 1 the file cannot be read (nothing is written then), 2 for wrong usage.",
    )  # fmt: skip
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="what the tool wrote or exported")
    add("--from", dest="source", choices=tuple(SOURCES), help="which tool [default: seen from the file]")
    add("--out", type=Path, required=True, metavar="FILE", help="JSON lines, replaced as a whole")
    add(
        "--model", metavar="MODEL", help="only this one, where the file has several; else the name that its results get"
    )
    add(
        "--metric",
        metavar="NAME",
        help="the score that counts [default: the tool's own (Inspect's headline, promptfoo's pass), or the only one]",
    )
    add("--pass-at", type=_number, metavar="X", help="a score from here on is a success, others are none")
    add(
        "--map", action="append", default=[], metavar="COLUMN=FIELD",
        help="a column of the file (or a path in it: vars.customer) to a field of a row: "
        "--map question=sample_id --map correct=success",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    try:
        wishes = Wishes(model=args.model, metric=args.metric, pass_at=args.pass_at, columns=_columns(args.map))
        data = args.file.read_bytes()
        source = args.source or ("table" if wishes.columns and source_of(data) is None else source_of(data))
        if source is None:
            return refused("eval import", f"{args.file} does not show who wrote it; say --from {'|'.join(SOURCES)}")
        imported = import_results(data, args.file.name, source, wishes)
    except OSError as error:
        return refused("eval import", f"{error.filename}: {error.strerror}")
    except (UnclearChoice, argparse.ArgumentTypeError) as error:
        return refused("eval import", error)
    if imported.results.problems:
        print_first(imported.results.problems)
        return 1
    try:
        save_rows(args.out, imported.results.rows)
    except OSError as error:
        return refused("eval import", f"{args.out}: {error.strerror}")
    for note in imported.notes:
        print(f"pointsman eval import: {note}", file=sys.stderr)
    _print_summary(imported.results.rows, source, args.out)
    return 0


def _columns(words: Sequence[str]) -> dict[str, str]:
    columns = {}
    for word in words:
        column, _, field = word.rpartition("=")
        if not column:
            raise UnclearChoice(f"--map {word}: write COLUMN=FIELD")
        if field not in FIELDS and not (field.startswith("scores.") and field != "scores."):
            near = did_you_mean(field, FIELDS)
            turned = f"; write {field}={column}" if column in FIELDS else ""
            raise UnclearChoice(f'--map {word}: there is no field "{field}"{turned or "; " + (near or _all_fields())}')
        columns[column] = field
    return columns


def _all_fields() -> str:
    return f"there are {', '.join(FIELDS)}"


def _print_summary(rows: Sequence[Row], source: str, path: Path) -> None:
    samples = Counter(row.model for row in rows)
    graded = Counter(row.model for row in rows if row.success is not None)
    failed = Counter(row.model for row in rows if row.status in ("model_error", "timeout"))
    priced = Counter(row.model for row in rows if row.cost_usd is not None)
    print(f"{path}: {len(rows):,} results from {source}")
    for model in sorted(samples):
        mean = sum(row.success for row in rows if row.model == model and row.success is not None)
        words = f"mean {mean / graded[model]:.4g}" if graded[model] else "none graded"
        print(
            f"  {model}: {samples[model]:,}, {words}; {samples[model] - graded[model]:,} ungraded, "
            f"{failed[model]:,} failed, {samples[model] - priced[model]:,} without a cost"
        )


def _number(text: str) -> float:
    try:
        number = number_of(text)
    except ValueError:
        number = None
    if number is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number')
    return number
