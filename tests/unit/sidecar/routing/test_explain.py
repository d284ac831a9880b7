"""A plan as people read it."""

import msgspec

from sidecar.routing.explain import explained
from sidecar.routing.plan import Plan, Planned
from sidecar.routing.snapshot import Skipped
from tests.fakes import core_bundles as bundles


def test_steps_skips_and_a_refusal_are_told() -> None:
    snapshot = bundles.snapshot()
    use_case, alpha = snapshot.use_cases["chat"], snapshot.targets["alpha"][0]
    made = Plan(use_case, (Planned(alpha, "primary"),), (Skipped("beta", "two", "region"),))
    assert msgspec.json.decode(msgspec.json.encode(explained(made))) == {
        "use_case": "chat",
        "plan": [{"model": "alpha", "provider": "one", "reason": "primary"}],
        "skipped": [{"model": "beta", "provider": "two", "reason": "region"}],
    }
    refused = Plan(use_case, (), (), refusal="cost_ceiling.per_day")
    assert msgspec.json.decode(msgspec.json.encode(explained(refused)))["refusal"] == "cost_ceiling.per_day"
