"""The operators' port: health, readiness, status and metrics, and no foreign page."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from schemas.status import SidecarStatus
from sidecar.server.admin import admin_app
from sidecar.telemetry.metrics import Metrics

STATUS = SidecarStatus(id="s-1", version="1", state="ACTIVE")


class Admin:
    why_not = ""


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    app = admin_app(
        metrics=Metrics(), status=lambda: STATUS, not_ready=lambda: Admin.why_not, allowed_hosts=frozenset()
    )
    async with TestClient(TestServer(app)) as made:
        yield made


async def test_a_sidecar_is_healthy_before_it_is_ready(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[type-arg]
    assert (await client.get("/readyz")).status == 200
    monkeypatch.setattr(Admin, "why_not", "no rules yet")
    answer = await client.get("/readyz")
    assert (answer.status, await answer.text()) == (503, "no rules yet\n")
    assert (await client.get("/healthz")).status == 200


async def test_status_and_metrics_are_told(client: TestClient) -> None:  # type: ignore[type-arg]
    answer = await client.get("/status")
    assert msgspec.json.decode(await answer.read(), type=SidecarStatus) == STATUS
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "pointsman_calls_total" in await answer.text()


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/status"])
async def test_a_foreign_host_is_told_nothing(client: TestClient, path: str) -> None:  # type: ignore[type-arg]
    assert (await client.get(path, headers={"host": "evil.example"})).status == 403
    assert (await client.get(path, headers={"origin": "https://evil.example"})).status == 403
