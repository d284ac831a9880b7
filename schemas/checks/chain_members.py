"""The chains of a use case as values: which models, written where."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.rules.use_case import TrafficShare, UseCase, When
from schemas.yaml_source import Path

Arms = tuple[tuple[Path, TrafficShare], ...]
EVERY_CALL = When()


@dataclass(frozen=True, slots=True)
class Chain:
    """Models that are tried in order; `members` pairs each with its place in the file."""

    path: Path
    """Where the chain begins: its primary."""
    members: tuple[tuple[Path, str], ...]
    arms: Arms = ()
    """Models that get a part of its calls: the canary first, then the split."""
    when: When = EVERY_CALL
    """What holds of every call that comes here."""

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(model for _, model in self.members)


def chains_of(use_case: UseCase) -> Iterator[Chain]:
    """The main chain, then each rule's."""
    canary: Arms = () if use_case.canary is None else ((("canary",), use_case.canary),)
    yield _chain((), use_case.primary, use_case.fallbacks, (*canary, *_split((), use_case.split)), EVERY_CALL)
    for index, rule in enumerate(use_case.rules):
        path: Path = ("rules", index)
        yield _chain(path, rule.primary, rule.fallbacks, _split(path, rule.split), rule.when)


def ways_out_of(use_case: UseCase) -> Iterator[Chain]:
    """The models that a ceiling or a bar leads to."""
    for key, then in (
        ("cost_ceiling", use_case.cost_ceiling and use_case.cost_ceiling.then),
        ("quality_bar", use_case.quality_bar and use_case.quality_bar.then),
    ):
        if then and then != "reject":
            yield Chain((key, "then"), tuple(((key, "then", i), model) for i, model in enumerate(then)))


def models_named(use_case: UseCase) -> Iterator[tuple[Path, str]]:
    """Every model that a use case may send a call to, with its place."""
    for chain in (*chains_of(use_case), *ways_out_of(use_case)):
        yield from chain.members
        yield from (((*path, "model"), share.model) for path, share in chain.arms)
    if use_case.shadow is not None:
        yield ("shadow", "model"), use_case.shadow.model


def _chain(path: Path, primary: str, fallbacks: tuple[str, ...], arms: Arms, when: When) -> Chain:
    rest = (((*path, "fallbacks", index), model) for index, model in enumerate(fallbacks))
    return Chain((*path, "primary"), (((*path, "primary"), primary), *rest), arms, when)


def _split(path: Path, split: tuple[TrafficShare, ...]) -> Arms:
    return tuple(((*path, "split", index), share) for index, share in enumerate(split))
