"""A whole controller on a free port, following a real repository, and a client that holds the sidecar's token."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from controller.app import Running, running
from controller.parts import WatchTimes
from controller.settings import ServeSettings
from tests.fakes.rules_repo import RulesRepo


@pytest.fixture
def watch_times() -> WatchTimes:
    return WatchTimes()


@pytest.fixture
async def controller(tmp_path: Path, repo: RulesRepo, watch_times: WatchTimes) -> AsyncIterator[Running]:
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0)
    async with running(settings, watch_times=watch_times) as controller:
        yield controller


@pytest.fixture
async def client(controller: Running) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {controller.parts.tokens.sidecar}"}
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(controller.url, headers=headers, timeout=timeout) as session:
        yield session


@pytest.fixture
async def loaded(controller: Running, repo: RulesRepo) -> str:
    """The revision that runs, once it does."""
    commit = repo.commit()
    await controller.parts.publisher.newer_than("")
    return commit
