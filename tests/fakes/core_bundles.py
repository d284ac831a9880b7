"""Small bundles and snapshots for tests of the sidecar: two models, one use case, and what a test changes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from schemas.bundle import (
    BUNDLE_SCHEMA,
    Bundle,
    Caller,
    Capability,
    DialectName,
    Model,
    Price,
    Provider,
    Served,
    Shadow,
    UseCase,
    digest_of,
    encode_bundle,
)
from sidecar.routing.snapshot import Snapshot, build_snapshot

ANYTHING: tuple[Capability, ...] = ("tools", "vision", "files", "json_schema", "reasoning")


def price(input_usd: str = "3", output_usd: str = "15", since: str = "2026-01-01", **more: Any) -> Price:
    return Price(since=since, input=Decimal(input_usd), output=Decimal(output_usd), **more)


def model(
    *providers: str,
    vendor: str = "maker",
    window: int = 200_000,
    capabilities: tuple[Capability, ...] = ANYTHING,
    prices: tuple[Price, ...] = (price(),),
    **more: Any,
) -> Model:
    """Each provider calls the model `<provider>-name`."""
    doors = tuple(Served(provider=name, name=f"{name}-name", prices=prices) for name in providers)
    options: dict[str, Any] = {"context_window": window, "max_output_tokens": 4096, "capabilities": capabilities} | more
    return Model(vendor=vendor, served_by=doors, **options)


def provider(base_url: str = "http://127.0.0.1:9", dialect: DialectName = "openai", **more: Any) -> Provider:
    return Provider(dialect=dialect, base_url=base_url, **more)


def shadow(model: str = "beta", percent: int = 100, per_day: str = "10", concurrency: int = 4, **more: Any) -> Shadow:
    return Shadow(model=model, percent=Decimal(percent), per_day=Decimal(per_day), concurrency=concurrency, **more)


def bundle(
    *,
    chain: Sequence[str] = ("alpha", "beta"),
    providers: dict[str, Provider] | None = None,
    models: dict[str, Model] | None = None,
    callers: tuple[Caller, ...] = (),
    revision: str = "rev-1",
    name: str = "chat",
    more_use_cases: dict[str, UseCase] | None = None,
    **use_case: Any,
) -> Bundle:
    """`alpha` at `one` and `beta` at `two`, both OpenAI-style, unless told otherwise."""
    return Bundle(
        schema=BUNDLE_SCHEMA,
        revision=revision,
        providers=providers or {"one": provider(), "two": provider()},
        models=models or {"alpha": model("one"), "beta": model("two", vendor="other")},
        use_cases={name: UseCase(owner="team", chain=tuple(chain), **use_case), **(more_use_cases or {})},
        callers=callers,
    )


def snapshot(**changes: Any) -> Snapshot:
    made = bundle(**changes)
    return build_snapshot(made, digest_of(encode_bundle(made)))
