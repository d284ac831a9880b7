"""Reading code repositories for the audit: rules found on the way are rules and not code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from controller.audit.rules import RULES_FILE, KnownRules, read_known
from controller.audit.services import Service, services_of
from controller.audit.sightings import Sighting, sightings_in
from controller.audit.signs import known_signs
from controller.audit.source import Listing, SourceFile, list_files, read_source
from schemas.load import is_rule_file

Show = Callable[[int, int], None]
"""Files done, and files in all."""


@dataclass(frozen=True, slots=True)
class Repository:
    root: Path
    listing: Listing

    @property
    def name(self) -> str:
        return self.root.resolve().name

    def rules_folders(self) -> list[str]:
        """Where a rules repository begins; the root is the empty text."""
        return [path[: -len(RULES_FILE)].rstrip("/") for path in self.listing.paths if path.endswith(RULES_FILE)]


def list_repositories(roots: Sequence[Path]) -> list[Repository]:
    return [Repository(root, list_files(root)) for root in roots]


def known_rules(repositories: Sequence[Repository], named: Sequence[Path], today: date) -> KnownRules:
    """Those that are named, or all that lie in the repositories. Raises `SourceUnavailable`."""
    folders = list(named) or [one.root / folder for one in repositories for folder in one.rules_folders()]
    known = KnownRules()
    for folder in folders:
        more = read_known(folder, today)
        known = KnownRules(
            {**known.use_cases, **more.use_cases}, {**known.names, **more.names}, {**known.vendors, **more.vendors}
        )
    return known


def services_in(repository: Repository, rules: KnownRules, show: Show) -> list[Service]:
    signs, names = known_signs(), frozenset(rules.names)
    folders = [f"{folder}/" if folder else "" for folder in repository.rules_folders()]
    paths = [path for path in repository.listing.paths if not _is_a_rule(path, folders)]
    found: list[tuple[SourceFile, list[Sighting]]] = []
    for done, path in enumerate(paths):
        show(done, len(paths))
        if (source := read_source(repository.root, path)) and (sightings := sightings_in(source, signs, names)):
            found.append((source, sightings))
    return services_of(repository.name, found, repository.listing.services())


def _is_a_rule(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(folder) and is_rule_file(path.removeprefix(folder)) for folder in folders)
