"""Sightings to services: which models each calls, for which use cases, and whether through us. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.audit.sightings import Sighting
from controller.audit.source import SourceFile
from controller.audit.verdicts import Verdict, by_code

_CALLS = frozenset({"sdk", "url", "key", "gateway", "sidecar"})
"""What shows that models are called; a model's name alone may be a table of prices."""


@dataclass(frozen=True, slots=True)
class Service:
    """A folder with a manifest of its own, or a repository."""

    name: str
    verdict: Verdict
    models: tuple[str, ...]
    vendors: tuple[str, ...]
    use_cases: tuple[str, ...]
    """What it asks of the sidecar for, as it names them."""
    is_through_sidecar: bool
    is_through_gateway: bool
    """Another one."""
    sightings: tuple[Sighting, ...]

    @property
    def is_outside(self) -> bool:
        """Whether it calls vendors without any gateway."""
        return not self.is_through_sidecar and not self.is_through_gateway

    @property
    def direct(self) -> tuple[Sighting, ...]:
        """A vendor's own address, although the service uses the sidecar elsewhere: that traffic is not seen by it."""
        return tuple(one for one in self.sightings if self.is_through_sidecar and one.sign.kind == "url")


def services_of(
    repository: str, found: Sequence[tuple[SourceFile, Sequence[Sighting]]], folders: Iterable[str]
) -> list[Service]:
    """By name. Files of tests are left out: what only tests name is not in use."""
    known = sorted(set(folders) | {""}, key=lambda folder: (-folder.count("/"), -len(folder)))
    grouped: dict[str, list[Sighting]] = {}
    for source, sightings in found:
        if sightings and not source.is_test:
            grouped.setdefault(_home(source.path, known), []).extend(sightings)
    services = (_service(_name(repository, folder), sightings) for folder, sightings in sorted(grouped.items()))
    return [service for service in services if service is not None]


def _home(path: str, folders: Sequence[str]) -> str:
    return next(folder for folder in folders if not folder or path.startswith(f"{folder}/"))


def _name(repository: str, folder: str) -> str:
    return f"{repository}/{folder}" if folder else repository


def _service(name: str, sightings: Sequence[Sighting]) -> Service | None:
    kinds: Mapping[str, list[Sighting]] = {}
    kinds = {kind: [one for one in sightings if one.sign.kind == kind] for kind in {one.sign.kind for one in sightings}}
    if not _CALLS & kinds.keys():
        return None
    through_sidecar = "sidecar" in kinds
    asked = tuple(sorted({one.sign.name for one in kinds.get("use_case", ())})) if through_sidecar else ()
    # An alias such as `gpt-4o` is a wish that our rules read: asked of a sidecar, it is no model of the service's.
    aliases = {(one.file, one.line, one.text) for one in kinds.get("use_case", ())} if through_sidecar else set()
    named = [one for one in kinds.get("model", ()) if (one.file, one.line, one.text) not in aliases]
    models = tuple(sorted({one.sign.name for one in named}))
    vendors = {one.sign.vendor for one in (*named, *kinds.get("embedding", ()), *kinds.get("url", ()))}
    if not named and not through_sidecar:
        vendors |= {one.sign.vendor for one in (*kinds.get("sdk", ()), *kinds.get("key", ()))}
    return Service(
        name,
        by_code(models, has_routing="routing" in kinds),
        models,
        tuple(sorted(vendors - {""})),
        asked,
        through_sidecar,
        "gateway" in kinds,
        tuple(sorted(sightings, key=lambda one: (one.file, one.line, one.sign.kind))),
    )
