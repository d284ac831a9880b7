"""Compiled rules for tests, made directly: no YAML, no controller. A test names only what it is about."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, get_args

from schemas.bundle import (
    BUNDLE_SCHEMA,
    Bundle,
    Caller,
    Capability,
    DialectName,
    Model,
    Price,
    Provider,
    Secret,
    Served,
    UseCase,
)

EVERYTHING: tuple[Capability, ...] = get_args(Capability)
SINCE = "2026-01-01"
CHEAP = Price(since=SINCE, input=Decimal("0.25"), output=Decimal("2.00"), cache_read=Decimal("0.025"))
"""With a cache price that differs from the input price, so that a mistaken sum shows."""


def provider(dialect: DialectName, url: str, *, key_env: str | None = None, **more: Any) -> Provider:
    """`url` is the root of a server; OpenAI's `base_url` gets its `/v1`, as its SDK takes it."""
    base_url = f"{url}/v1" if dialect == "openai" else url
    return Provider(
        dialect=dialect, base_url=base_url, api_key=None if key_env is None else Secret(env=key_env), **more
    )


def model(at: str, *, name: str, price: Price | None = CHEAP, vendor: str = "simulated", **more: Any) -> Model:
    """One model at one provider, able to do everything unless `capabilities` says less."""
    options: dict[str, Any] = {"context_window": 400_000, "max_output_tokens": 8192, "capabilities": EVERYTHING} | more
    served = Served(provider=at, name=name, prices=() if price is None else (price,))
    return Model(vendor=vendor, served_by=(served,), **options)


def use_case(*chain: str, **more: Any) -> UseCase:
    return UseCase(owner="tests", chain=chain, **more)


def caller(name: str, key: str, **more: Any) -> Caller:
    return Caller(name=name, key_sha256=sha256(key.encode()).hexdigest(), **more)


def bundle(
    providers: Mapping[str, Provider],
    models: Mapping[str, Model],
    use_cases: Mapping[str, UseCase],
    *,
    callers: Iterable[Caller] = (),
    revision: str = "folder:tests",
) -> Bundle:
    return Bundle(
        schema=BUNDLE_SCHEMA,
        revision=revision,
        providers=dict(providers),
        models=dict(models),
        use_cases=dict(use_cases),
        callers=tuple(callers),
    )
