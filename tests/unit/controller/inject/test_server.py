"""The webhook on a real controller: its own port, TLS, a template that changes or breaks while it runs."""

import argparse
import json
import ssl
from pathlib import Path

import aiohttp
import pytest

from controller.app import running
from controller.errors import CannotStart
from controller.settings import ServeSettings, add_options, serve_settings
from tests.fakes.certificates import Authority
from tests.fakes.free_ports import free_port
from tests.fakes.rules_repo import RULES, write_files
from tests.unit.controller.inject.test_review import ASKS, SPEC, TEXT, answered, review


@pytest.fixture
def settings(tmp_path: Path) -> ServeSettings:
    write_files(tmp_path / "rules", RULES)
    (tmp_path / "sidecar.yaml").write_text(TEXT)
    return ServeSettings(
        repo=str(tmp_path / "rules"), state=tmp_path / "state", listen_port=0, inject=tmp_path / "sidecar.yaml",
        inject_host="127.0.0.1", inject_port=free_port(), inject_cert=Authority(tmp_path, "ca").server("server.pem"),
    )  # fmt: skip


async def test_it_answers_by_tls_and_by_the_template_as_it_lies(tmp_path: Path, settings: ServeSettings) -> None:
    url = f"https://127.0.0.1:{settings.inject_port}/inject"
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    template = tmp_path / "sidecar.yaml"
    document = review(ASKS, SPEC)
    async with running(settings), aiohttp.ClientSession() as session:

        async def ask(body: bytes = json.dumps(document).encode()) -> tuple[int, dict[str, object]]:
            async with session.post(url, data=body, ssl=trust) as answer:
                return answer.status, await answer.json()

        status, first = await ask()
        assert (status, first["response"]) == (200, answered(document)[1])
        template.write_text(TEXT.replace("pointsman-sidecar:1", "pointsman-sidecar:2"))
        _, second = await ask()
        assert second != first
        template.write_text("{")
        assert await ask() == (200, second), "the last good one"
        for body in (b"", b"{", b"[" * 100_000, b"{}"):
            assert (await ask(body))[0] == 400


async def test_a_template_that_is_none_stops_the_start(tmp_path: Path, settings: ServeSettings) -> None:
    (tmp_path / "sidecar.yaml").write_text("sidecar: []\n")
    with pytest.raises(CannotStart, match=r"--inject .*sidecar.yaml: it has the keys sidecar, volumes, env"):
        async with running(settings):
            pass


def test_a_webhook_needs_a_certificate() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    with pytest.raises(CannotStart, match="--inject and --inject-cert go together"):
        serve_settings(parser.parse_args(["--repo", ".", "--inject", "sidecar.yaml"]), {})
