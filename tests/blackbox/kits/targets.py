"""A target of its own for each test: what its faults teach a sidecar (breakers, keys that rest) no other test meets."""

from collections.abc import Mapping
from itertools import count

from msgspec.structs import replace

from schemas.bundle import Bundle, Provider
from tests.fakes import bundles


class FreshTargets:
    """Rules many times over, each copy under names of its own; every copy leads to the same upstreams."""

    def __init__(self, original: Bundle, *, copies: int = 300) -> None:
        """The original is among the rules, and alone has its aliases. Of a use case's models, its chain is copied."""
        self._numbers = count()
        every = [original, *(_copy(original, number) for number in range(copies))]
        self.rules: Bundle = replace(
            original,
            providers={name: provider for rules in every for name, provider in rules.providers.items()},
            models={name: model for rules in every for name, model in rules.models.items()},
            use_cases={name: use_case for rules in every for name, use_case in rules.use_cases.items()},
        )

    def use_case(self, name: str) -> str:
        """`<name>-<number>`: of a copy that nobody has asked anything yet."""
        fresh = f"{name}-{next(self._numbers)}"
        assert fresh in self.rules.use_cases, "there are more tests than copies"
        return fresh

    def chain(self, use_case: str) -> list[tuple[str, str]]:
        """Models and their providers, in the order in which they are asked."""
        models = self.rules.use_cases[use_case].chain
        return [(model, door.provider) for model in models for door in self.rules.models[model].served_by]


def one_each(upstreams: Mapping[str, Provider]) -> Bundle:
    """For each upstream a use case `to-<name>`, which reaches it as calls to `<name>-model`."""
    return bundles.bundle(
        upstreams,
        {name: bundles.model(name, name=f"{name}-model") for name in upstreams},
        {f"to-{name}": bundles.use_case(name) for name in upstreams},
    )


def _copy(original: Bundle, number: int) -> Bundle:
    def own(name: str) -> str:
        return f"{name}-{number}"

    return replace(
        original,
        providers={own(name): provider for name, provider in original.providers.items()},
        models={
            own(name): replace(
                model, served_by=tuple(replace(door, provider=own(door.provider)) for door in model.served_by)
            )
            for name, model in original.models.items()
        },
        use_cases={
            own(name): replace(use_case, chain=tuple(map(own, use_case.chain)), aliases=())
            for name, use_case in original.use_cases.items()
        },
    )
