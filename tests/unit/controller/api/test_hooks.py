"""A push event makes the controller fetch at once; anybody else's does nothing."""

import asyncio
import hashlib
import hmac
from pathlib import Path

import aiohttp
import pytest

from controller.app import running
from controller.settings import ServeSettings
from tests.fakes.rules_repo import RulesRepo

SECRET = "a secret of some length"
BODY = b'{"ref": "refs/heads/main"}'
NOT_SSH = """\
#!/bin/sh
shift $(($# - 1))
exec sh -c "$1"
"""
"""Runs on this machine what it is to run on another."""


async def test_a_push_event_is_a_hint_to_fetch_now(
    tmp_path: Path, repo: RulesRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "not-ssh").write_text(NOT_SSH)
    (tmp_path / "not-ssh").chmod(0o700)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(tmp_path / "not-ssh"))
    (tmp_path / "hook").write_text(f"{SECRET}\n")
    repo.commit()
    settings = ServeSettings(
        repo=f"forge.example:{repo.path}", state=tmp_path / "state", listen_port=0, hook_secret=tmp_path / "hook",
        poll_seconds=3600.0,
    )  # fmt: skip
    signature = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    async with running(settings) as controller, aiohttp.ClientSession(controller.url) as forge:
        first = await controller.parts.publisher.newer_than("")
        assert first is not None
        pushed = await asyncio.to_thread(repo.commit_variant, 1)
        wrong: list[dict[str, str]] = [{}, {"X-Hub-Signature-256": "sha256=0"}, {"X-Gitlab-Token": "another"}]
        for headers in wrong:
            async with forge.post("/hooks/git", data=BODY, headers=headers) as got:
                assert (got.status, (await got.json())["error"]["code"]) == (401, "unauthenticated")
        async with forge.post("/hooks/git", data=BODY, headers={"X-Hub-Signature-256": f"sha256={signature}"}) as got:
            assert got.status == 202
        async with asyncio.timeout(10.0):
            second = await controller.parts.publisher.newer_than(first.event_id)
        assert second is not None
        assert second.pointer.revision == pushed


async def test_without_a_secret_there_is_no_hook(client: aiohttp.ClientSession) -> None:
    async with client.post("/hooks/git", data=BODY, headers={"X-Gitlab-Token": ""}) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (404, "no_hook")
