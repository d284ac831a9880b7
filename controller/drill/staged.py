"""The rules of a staging sidecar, whole or with an outage built in. Pure.

The doors of whoever is down lead to an address on this machine that fails. They have no keys: none leaves for there.
"""

from collections.abc import Mapping

import msgspec

from schemas.bundle import Bundle, Model, Provider, Served

OUTAGE = "outage-of-"
"""Before the name of a provider: its doors to models that are down."""


def without_callers(bundle: Bundle) -> Bundle:
    """A sidecar of our own, that nobody else reaches, asks nobody for keys."""
    return msgspec.structs.replace(bundle, callers=(), keys_required=False)


def with_outage(bundle: Bundle, down: Mapping[str, str], url: str) -> Bundle:
    """`down`: models and providers, by their names; `url`: where their doors lead instead."""
    providers = dict(bundle.providers)
    models = {}
    for name, model in bundle.models.items():
        doors = []
        for served in model.served_by:
            if name in down or served.provider in down:
                providers[OUTAGE + served.provider] = _failing(bundle.providers[served.provider], url)
                served = msgspec.structs.replace(served, provider=OUTAGE + served.provider)
            doors.append(served)
        models[name] = _through(model, doors)
    return msgspec.structs.replace(bundle, providers=providers, models=models)


def _failing(provider: Provider, url: str) -> Provider:
    return msgspec.structs.replace(
        provider, base_url=url, api_key=None, api_keys=(), identity=None, caller_key=False, headers={}, limits=None
    )


def _through(model: Model, doors: list[Served]) -> Model:
    return msgspec.structs.replace(model, served_by=tuple(doors))
