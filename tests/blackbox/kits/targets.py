"""A target of its own for each test: what its faults teach a sidecar (breakers, keys that rest) no other test meets."""

from collections.abc import Mapping
from itertools import count

from schemas.bundle import Bundle, Provider
from tests.fakes import bundles


class FreshTargets:
    """Each upstream stands in the rules many times over, under as many names."""

    def __init__(self, upstreams: Mapping[str, Provider], *, of_each: int = 200) -> None:
        """A call reaches the upstream called `name` as a call to `<name>-model`."""
        self._numbers = {name: count() for name in upstreams}
        places = [(name, f"{name}-{number}") for name in upstreams for number in range(of_each)]
        self.rules: Bundle = bundles.bundle(
            {place: upstreams[name] for name, place in places},
            {place: bundles.model(place, name=f"{name}-model") for name, place in places},
            {f"to-{place}": bundles.use_case(place) for _, place in places},
        )

    def use_case(self, name: str) -> str:
        """One that leads to this upstream, and that nobody has asked yet."""
        fresh = f"to-{name}-{next(self._numbers[name])}"
        assert fresh in self.rules.use_cases, "there are more tests than targets"
        return fresh
