"""A simulated provider in this process, and the official SDKs and a raw client pointed at it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from controller.demo.simulator.server import serving
from controller.demo.simulator.settings import SimulatorSettings

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@dataclass(frozen=True)
class Heard:
    """What a raw client got before the end, and how it ended."""

    status: int | None
    data: bytes
    error: Exception | None


@dataclass(frozen=True)
class Simulator:
    url: str
    http: aiohttp.ClientSession

    async def fault(self, fault: dict[str, Any], **rule: Any) -> None:
        async with self.http.post(f"{self.url}/_sim/faults", json={"fault": fault, **rule}) as answer:
            assert answer.status == 201, await answer.text()

    async def entries(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.url}/_sim/journal") as answer:
            return list((await answer.json())["entries"])

    async def hear(self, dialect: str, *, patience_seconds: float = 5, **extra: Any) -> Heard:
        status, data = None, b""
        try:
            async with asyncio.timeout(patience_seconds), self.post(dialect, **extra) as answer:
                status = answer.status
                async for part in answer.content.iter_any():
                    data += part
        except (aiohttp.ClientError, TimeoutError) as error:
            return Heard(status, data, error)
        return Heard(status, data, None)

    def post(self, dialect: str, *, stream: bool = False, **extra: Any) -> Any:
        body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}], "stream": stream}
        return self.http.post(self.url + PATHS[dialect], json=body | extra)


@pytest.fixture
def settings() -> SimulatorSettings:
    return SimulatorSettings(name="alpha")


@pytest.fixture
async def simulator(settings: SimulatorSettings) -> AsyncIterator[Simulator]:
    async with serving(settings) as url, aiohttp.ClientSession() as http:
        yield Simulator(url, http)


@pytest.fixture
async def openai_client(simulator: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="sk-test-1234", max_retries=0) as client:
        yield client


@pytest.fixture
async def anthropic_client(simulator: Simulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=simulator.url, api_key="sk-test-1234", max_retries=0) as client:
        yield client
