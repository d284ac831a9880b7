"""`pointsman models import`: prices from genai-prices into model files, as changes for people to review."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from controller.cli.rules_folder import NoRules, add_folder, add_today, amount, counted, day_of, read_rules, refused
from controller.prices.known import NoPackage, PriceList
from controller.prices.new_model import Said
from controller.prices.update import Finding, State, Update, add_models, update_prices
from schemas.bundle import Capability
from schemas.problems import did_you_mean
from schemas.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from argparse import _SubParsersAction

WORDS: Mapping[State, str] = {
    "new": "new", "changed": "changed", "same": "as listed", "unknown": "not known",
    "contract": "by contract", "by_hand": "to be done by hand",
}  # fmt: skip
DIFFERENT: frozenset[State] = frozenset({"changed", "by_hand"})


class WrongUsage(Exception):
    """Something was asked for that is not there."""


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("models", help="bring models and their prices into the rules")
    commands = parser.add_subparsers(dest="models_command", required=True, metavar="COMMAND")
    parser = commands.add_parser("import", help="from the price list of genai-prices")
    parser.description = (
        "Holds the prices of model files against genai-prices and adds a dated row where they differ; a row that "
        "stands is never changed. With --model or --all, files for models that a provider does not serve yet are "
        "written too; what the list does not know is left open, and `pointsman check` asks for it. Calls nobody."
    )
    add_folder(parser)
    parser.add_argument(
        "--provider", action="append", default=[], metavar="NAME", help="of providers/; repeatable (default: all)"
    )
    parser.add_argument("--model", action="append", default=[], metavar="GLOB", help="new models too; repeatable")
    parser.add_argument("--all", action="store_true", help="every model of the provider that is not deprecated")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where prices differ")
    parser.add_argument(
        "--source", metavar="ID", help="the provider's name in genai-prices, where its URL does not tell"
    )
    parser.add_argument("--vendor", metavar="NAME", help="of the new models")
    parser.add_argument("--context-window", type=int, metavar="N", help="of the new models")
    parser.add_argument("--max-output-tokens", type=int, metavar="N", help="of the new models")
    parser.add_argument("--capabilities", type=_capabilities, metavar="A,B", help="of the new models")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")
    add_today(parser, "the first day of a price whose beginning the list does not know (default: today)")


def run(args: argparse.Namespace) -> int:
    """Exit status: 0 done, 1 prices differ under --check, or something is left to be done by hand, 2 wrong usage."""
    today = day_of(args)
    try:
        prices = PriceList(today)
        texts, loaded = read_rules(args.folder, today)
        if loaded.rule_set is None:
            errors = [problem for problem in loaded.problems if problem.severity == "error"]
            print(*errors, f"{counted(errors)}: correct these first", sep="\n", file=sys.stderr)
            return 1
        update = _update(args, prices, texts, loaded.rule_set, today)
        if not args.check:
            _write(args.folder, update.files)
    except (NoPackage, NoRules, WrongUsage) as error:
        return refused("models import", error)
    except OSError as error:
        return refused("models import", f"cannot write {error.filename}: {error.strerror}")
    if args.format == "json":
        written = [] if args.check else sorted(update.files)
        document = {"source": prices.name, "findings": [asdict(found) for found in update.findings], "written": written}
        print(json.dumps(document))
    else:
        print(_as_text(update.findings, prices.name))
    worth_a_failure = DIFFERENT if args.check else {"by_hand"}
    return int(any(found.state in worth_a_failure for found in update.findings))


def _update(
    args: argparse.Namespace, prices: PriceList, texts: Mapping[str, str], rules: RuleSet, today: date
) -> Update:
    """Known doors first, then new files, which see what was changed."""
    sources = _sources(args, prices, rules)
    models = {model.file: texts[model.file] for model in rules.models.values()}
    update = update_prices(models, sources, prices, today)
    if not (args.all or args.model):
        return update
    if len(args.provider) != 1:
        raise WrongUsage("--model and --all need one --provider, which serves the new models")
    provider = args.provider[0]
    wanted = list(prices.all_of(sources[provider], ("*",) if args.all else tuple(args.model)))
    if not wanted:
        raise WrongUsage(f"{prices.name} has no model at {sources[provider]} that {', '.join(args.model)} names")
    said = Said(args.vendor, args.context_window, args.max_output_tokens, args.capabilities)
    added = add_models({**models, **update.files}, wanted, provider, sources[provider], prices, said)
    return Update((*update.findings, *added.findings), {**update.files, **added.files})


def _sources(args: argparse.Namespace, prices: PriceList, rules: RuleSet) -> Mapping[str, str]:
    """Provider → its name in the price list."""
    if args.source is not None:
        known = prices.sources()
        if len(args.provider) != 1:
            raise WrongUsage("--source needs one --provider, which it is the name of")
        if args.source not in known:
            near = did_you_mean(args.source, known) or f"known: {', '.join(known)}"
            raise WrongUsage(f'{prices.name} has no provider "{args.source}"; {near}')
        return {args.provider[0]: args.source}
    for name in args.provider:
        if name not in rules.providers:
            near = did_you_mean(name, rules.providers) or f"known: {', '.join(sorted(rules.providers))}"
            raise WrongUsage(f'the rules have no provider "{name}"; {near}')
    found = {
        name: prices.source_of(rules.providers[name].content.base_url) for name in args.provider or rules.providers
    }
    for name in args.provider:
        if found[name] is None:
            raise WrongUsage(f'{prices.name} does not know who answers at the URL of "{name}"; say --source ID')
    return {name: source for name, source in found.items() if source is not None}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        with file.open("w", encoding="utf-8", newline="") as opened:
            opened.write(text)


def _as_text(findings: Sequence[Finding], source: str) -> str:
    lines = [
        f"{found.file}  {found.provider}: {WORDS[found.state]}" + (f"; {found.message}" if found.message else "")
        for found in findings
        if found.state != "same"
    ]
    counts = Counter(found.state for found in findings)
    parts = ", ".join(f"{counts[state]} {word}" for state, word in WORDS.items() if counts[state])
    return "\n".join(
        [*lines, f"{amount(len(findings), 'price')} held against {source}" + (f": {parts}" if parts else "")]
    )


def _capabilities(text: str) -> tuple[str, ...]:
    words = tuple(word for word in (part.strip() for part in text.split(",")) if word)
    for word in words:
        if word not in get_args(Capability):
            near = did_you_mean(word, get_args(Capability)) or f"known: {', '.join(get_args(Capability))}"
            raise argparse.ArgumentTypeError(f'"{word}" is not a capability; {near}')
    return words
