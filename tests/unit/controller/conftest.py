"""What the controller's unit tests share: bundles, records, a repository, and a publisher on a real folder."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from controller.kept.folder import StateFolder
from controller.publish import Publisher
from controller.sign import Signer
from schemas.bundle import BUNDLE_SCHEMA, Bundle, Model, Provider, Served, UseCase
from schemas.record import AttemptRecord, CallRecord, Usage
from tests.fakes.rules_repo import RulesRepo

MakeBundle = Callable[..., Bundle]
MakeRecord = Callable[..., CallRecord]


@pytest.fixture
def make_bundle() -> MakeBundle:
    def make(revision: str = "r1", *, owner: str = "support-platform", padding: int = 0) -> Bundle:
        return Bundle(
            schema=BUNDLE_SCHEMA,
            revision=revision,
            providers={"p": Provider(dialect="openai", base_url="https://example.com", headers={"x": "y" * padding})},
            models={
                "m": Model(
                    vendor="v", context_window=1000, max_output_tokens=100, served_by=(Served(provider="p", name="m1"),)
                )
            },
            use_cases={"support": UseCase(owner=owner, chain=("m",))},
        )

    return make


@pytest.fixture
def make_record() -> MakeRecord:
    def make(number: int = 1, **changes: object) -> CallRecord:
        usage = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=40)
        fields: dict[str, object] = {
            "id": f"call-{number}",
            "at": "2026-11-02T23:59:59.999Z",
            "sidecar": "s1",
            "use_case": "support",
            "dialect": "openai",
            "outcome": "ok",
            "bundle": "sha256:0",
            "model": "m",
            "provider": "p",
            "vendor": "v",
            "reason": "primary",
            "status": 200,
            "usage": usage,
            "cost_usd": Decimal("0.0012"),
            "attempts": (
                AttemptRecord(
                    model="m",
                    provider="p",
                    reason="primary",
                    outcome="ok",
                    seconds=1.0,
                    usage=usage,
                    cost_usd=Decimal("0.0012"),
                ),
            ),
        }
        return CallRecord(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def repo(tmp_path: Path) -> RulesRepo:
    return RulesRepo(tmp_path / "rules")


@pytest.fixture
def signer() -> Signer:
    return Signer(bytes(range(32)))


@pytest.fixture
def publisher(tmp_path: Path, signer: Signer) -> Publisher:
    return Publisher(StateFolder(tmp_path, epoch=7), signer)
