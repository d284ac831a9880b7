"""`pointsman migrate`: another gateway's configuration to rule files, and what they do not say, line by line."""

import argparse
import json
import os
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.cli.rules_folder import add_today, amount, counted, day_of, print_first, refused
from controller.migrate import litellm, portkey
from controller.migrate.notes import Converted, NotAConfig
from controller.prices.known import NoPackage, PriceList
from schemas.load import folder_revision, load
from schemas.yaml_source import MAX_FILE_BYTES

if TYPE_CHECKING:
    from argparse import _SubParsersAction

KINDS: Final = {"providers": "provider", "models": "model", "use-cases": "use case"}


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("migrate", help="turn another gateway's configuration into rule files")
    commands = parser.add_subparsers(dest="migrate_command", required=True, metavar="GATEWAY")
    parser = commands.add_parser("litellm", help="a LiteLLM proxy's config.yaml")
    parser.description = (
        "Each model_name becomes a use case that answers to that name; its deployments become models and providers. "
        "What rule files cannot say is listed with its line. Keys are never copied: os.environ/NAME becomes env: NAME. "
        "URLs and regions that stand in variables are looked up here."
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the file that litellm --config takes")
    _add_common(parser)
    parser = commands.add_parser("portkey", help="a Portkey gateway's config, as JSON")
    parser.description = (
        "Each config becomes a use case named after its file, or after its name in a mapping of several; its targets "
        "become models and providers, its strategy the chain. What rule files cannot say is listed with its line. Keys "
        "are never copied: each becomes a variable of the sidecar."
    )
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="one config, or a JSON object of several by their names"
    )
    parser.add_argument("--model", metavar="NAME", help="what agents ask for, where no target names a model")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="DIR", help="a new or empty folder (default: write nothing)")
    parser.add_argument(
        "--owner", default="platform", metavar="TEAM", help="who owns the use cases (default: platform)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")
    add_today(parser, "first day of prices whose beginning is not known (default: today)")


def run(args: argparse.Namespace) -> int:
    """Exit status: 0 `check` finds no errors in what was made, 1 it does, 2 it is no such configuration."""
    out: Path | None = args.out
    try:
        if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
            return refused("migrate", f"{out} is not an empty folder; nothing was written")
        with args.config.open("rb") as opened:
            text = opened.read(MAX_FILE_BYTES + 1).decode("utf-8-sig")
        converted = _convert(args, text)
        if out is not None:
            _write(out, converted)
    except UnicodeDecodeError:
        return refused("migrate", f"{args.config} is not UTF-8 text")
    except NotAConfig as error:
        return refused("migrate", error)
    except OSError as error:
        return refused("migrate", f"{error.filename}: {error.strerror}")
    loaded = load(dict(converted.files), today=day_of(args), revision=folder_revision(converted.files))
    errors = [problem for problem in loaded.problems if problem.severity == "error"]
    if args.format == "json":
        notes = [asdict(note) for note in converted.notes]
        written = sorted(converted.files) if out is not None else []
        print(json.dumps({"files": sorted(converted.files), "written": written, "notes": notes}))
    else:
        _print(args.config, out, converted)
    print_first(errors)
    if errors:
        print(f"{counted(errors)} of pointsman check are left to you", file=sys.stderr)
    return 1 if errors else 0


def _convert(args: argparse.Namespace, text: str) -> Converted:
    name, owner, today, prices = args.config.name, args.owner, day_of(args), _prices(args)
    if args.migrate_command == "portkey":
        return portkey.convert(name, text, owner=owner, today=today, prices=prices, model=args.model)
    return litellm.convert(name, text, owner=owner, today=today, environment=os.environ, prices=prices)


def _prices(args: argparse.Namespace) -> PriceList | None:
    try:
        return PriceList(day_of(args))
    except NoPackage as error:
        print(f"pointsman migrate: prices are taken from the configuration alone: {error}", file=sys.stderr)
        return None


def _write(folder: Path, converted: Converted) -> None:
    for path, text in converted.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="") as opened:
            opened.write(text)


def _print(config: Path, out: Path | None, converted: Converted) -> None:
    for note in converted.notes:
        print(f"{config}:{note.line}  {note.key}  {'' if note.needs_you else '(for you to know) '}{note.says}")
    kinds = Counter(path.split("/")[0] for path in converted.files)
    parts = ", ".join(amount(kinds[folder], word) for folder, word in KINDS.items())
    asking = sum(note.needs_you for note in converted.notes)
    print(f"{'Would write' if out is None else f'Wrote to {out}'}: {parts}; {amount(asking, 'line')} above ask for you")
    if out is not None:
        print(f"\nNext:\n  pointsman check {out}\n  pointsman serve --repo {out}")
